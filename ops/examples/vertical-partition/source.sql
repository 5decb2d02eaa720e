create table customers (
  id integer primary key,
  name text not null,
  email text,
  street text,
  postcode varchar(10),
  city text,
  newsletter boolean,
  language text,
  notes text
);

insert into customers
select n, 'Customer ' || n, 'c' || n || '@example.com',
  case when n % 4 > 0 then n || ' High Street' end, case when n % 4 > 0 then lpad(n::text, 5, '0') end, case when n % 4 > 0 then 'City ' || n % 30 end,
  n % 2 = 0, (array['de', 'en', 'fr'])[1 + n % 3], case when n % 7 = 0 then 'note ' || n end
from generate_series(1, 900) n;

insert into customers values
  (2001, '', null, '', '', '', null, null, ''),
  (2002, 'O''Neill "Bob"', 'bob@example.com', null, null, 'Only a city', null, 'en', E'two\nlines'),
  (2003, 'Zoë 🏠', 'zoe@example.com', 'Straße 1', null, null, true, null, '\N');
