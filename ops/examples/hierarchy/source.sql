create table categories (
  id integer primary key,
  parent_id integer references categories,
  name text not null
);

-- Five roots, up to six levels, and siblings of the same name.
insert into categories
select n, case when n > 5 then n / 3 end, 'Category ' || n % 40 from generate_series(1, 700) n order by n;

insert into categories values
  (2001, null, ''), (2002, 2001, 'Slash / in "it"'), (2003, 2002, 'It''s 🌲'), (2004, 2003, ''), (1999, 2004, 'A parent with a higher number');
