create table customers (
  id integer primary key,
  email text not null unique,
  name text not null,
  referred_by integer references customers
);

create table invoices (
  year integer not null,
  number integer not null,
  customer_id integer not null references customers,
  corrects_year integer,
  corrects_number integer,
  primary key (year, number),
  foreign key (corrects_year, corrects_number) references invoices
);

create table invoice_lines (
  year integer not null,
  number integer not null,
  position integer not null,
  article text not null,
  amount numeric(8, 2) not null,
  primary key (year, number, position),
  foreign key (year, number) references invoices
);

-- Referred by customers before and after them.
insert into customers select n, 'c' || n || '@example.com', 'Customer ' || n, null from generate_series(1, 300) n;
update customers set referred_by = 1 + (id * 7) % 300 where id % 3 = 0;
insert into invoices select 2020 + n % 5, n, 1 + n % 300, null, null from generate_series(1, 600) n;
update invoices set corrects_year = 2020 + (number - 5) % 5, corrects_number = number - 5 where number > 5 and number % 9 = 0;
insert into invoice_lines select 2020 + n % 5, n, p, 'Article ' || (n * p) % 90, n + p * 0.01 from generate_series(1, 600) n, generate_series(1, 2) p;

insert into customers values (-5, '', '', -5), (2147483647, 'o''hara "x"@example.com', 'Zoë 🔑', -5);
insert into invoices values (-1, 0, -5, -1, 0), (2024, 99999, 2147483647, -1, 0);
insert into invoice_lines values (-1, 0, 0, '', 0), (2024, 99999, 1, '\N', -1);
