create table books (isbn text primary key, title text not null, author text, price numeric(8, 2) not null, pages integer);
create table records (number integer primary key, title text not null, artist text, price numeric(8, 2) not null, minutes numeric(5, 1));
create table vouchers (code text primary key, amount integer not null);

insert into books select '978-' || n, 'Book ' || n, 'Author ' || n % 60, 5 + n % 40 + 0.95, case when n % 9 > 0 then 80 + n end from generate_series(1, 500) n;
insert into records select n, 'Record ' || n, 'Artist ' || n % 45, 9.99, 20 + (n % 400) / 10.0 from generate_series(1, 400) n;
insert into vouchers select 'V' || n, n * 5 from generate_series(1, 20) n;

insert into books values ('', '', null, 0, null), ('978-''x"', 'Quotes '' and "', '', 1.5, 0);
insert into records values (9001, '🎵 Émile', null, 100000.01, null);
