-- expected: orders
select id, customer from orders;

-- expected: order_lines
select id, n, lines #>> array[(n - 1)::text, 'sku'],
  case when lines -> (n - 1) ? 'quantity' then (lines #> array[(n - 1)::text, 'quantity'])::integer else 1 end,
  (lines #>> array[(n - 1)::text, 'price'])::numeric(8, 2)
from orders, generate_series(1, jsonb_array_length(lines)) n;

-- expected: order_phones
select id, phones[n] from orders, generate_subscripts(phones, 1) n;
