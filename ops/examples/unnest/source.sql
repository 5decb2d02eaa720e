create table orders (
  id integer primary key,
  customer text not null,
  phones text[],
  lines jsonb not null                   -- [{"sku": "A-1", "quantity": 2, "price": 9.95}, …]
);

insert into orders
select n, 'Customer ' || n % 70, case n % 4 when 0 then null when 1 then '{}' else array['+43 1 ' || n, '+43 2 ' || n] end,
  (select coalesce(jsonb_agg(jsonb_build_object('sku', 'A-' || (n * i) % 60, 'quantity', i, 'price', n * 0.05)), '[]') from generate_series(1, n % 5) i)
from generate_series(1, 500) n;

insert into orders values
  (1001, '', array['', null, 'it''s "one"'], '[]'),
  (1002, 'Zoë', null, '[{"sku": "🧦", "quantity": 1, "price": 3}, {"sku": "", "price": null}, {"quantity": 7, "sku": "A-\"1\"", "gift": true}]');
