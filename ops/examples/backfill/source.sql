create table categories (id integer primary key, name text not null);

create table articles (
  id integer primary key,
  category_id integer references categories,
  title text not null,
  price numeric(10, 2) not null,
  archived boolean not null default false
);

insert into categories select n, 'Category ' || n from generate_series(1, 20) n;
insert into articles
select n, case when n % 9 > 0 then 1 + n % 20 end, 'The Article, No. ' || n || '!', n * 1.15, n % 10 = 0 from generate_series(1, 1500) n;

insert into articles values
  (9001, null, '', 0, false),
  (9002, 20, '  It''s "quoted" & 🧸 ', 99999999.99, false),
  (9003, 1, '---', -0.01, false),
  (9004, 1, 'Archived', 1, true);
