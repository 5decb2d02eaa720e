create table customers (
  id integer primary key,
  name text not null,
  country text,                          -- 'AT', 'at ', 'Österreich', or nothing
  tier text not null                     -- 'gold', 'silver', 'basic'
);

insert into customers
select n, 'Customer ' || n, (array['AT', 'at ', 'DE', 'de', 'CH', 'XX', null])[1 + n % 7], (array['gold', 'silver', 'basic'])[1 + n % 3]
from generate_series(1, 900) n;

insert into customers values
  (2001, '', '', 'basic'),
  (2002, 'It''s "odd" 🌍', 'Österreich', 'gold'),
  (2003, 'Li', 'LI', 'silver');
