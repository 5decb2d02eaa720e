create table price_changes (
  id bigint primary key,
  sku text not null,
  price numeric(8, 2),
  currency char(3) not null,
  valid_from date not null
);

insert into price_changes
select n, 'A-' || (n * 31) % 240, case when n % 40 > 0 then (n % 500) * 0.45 end, 'EUR', date '2023-01-01' + (n * 7919) % 600
from generate_series(1, 1400) n;

insert into price_changes values
  (9001, '', 0, 'EUR', '2024-01-01'),
  (9002, 'it''s "odd" 🏷', 1, 'EUR', '2024-01-02'),
  (9003, 'it''s "odd" 🏷', 2, 'CHF', '2024-01-03'),
  (9004, 'it''s "odd" 🏷', null, 'CHF', '2024-01-03'),
  (9005, 'it''s "odd" 🏷', 4, 'USD', '0001-01-01');
