create table orders (
  id varchar(38) primary key,            -- a uuid, in any of its spellings
  status text not null,                  -- 'Open', ' SHIPPED', …
  placed_at timestamp not null,          -- on a clock in Vienna
  seen_at bigint,                        -- seconds since 1970
  paid integer,                          -- 0, 1, and now and then 2
  gift char(1) not null,                 -- 'Y', 'N', ' '
  total text,                            -- '1.234,50 €'
  details text,                          -- JSON, or nothing
  item_ids text not null,                -- '3;17;4'
  fingerprint char(32) not null          -- hexadecimal
);

insert into orders
select md5(n::text)::uuid::text, (array['Open', 'SHIPPED', ' cancelled '])[1 + n % 3], timestamp '2024-03-30 12:00' + n * interval '7 minutes',
  case when n % 6 > 0 then 1700000000 + n * 977 end, n % 3, (array['Y', 'N', ' '])[1 + n % 3],
  translate(to_char(n * 12.5, 'FM999,990.00'), ',.', '.,') || ' €', case when n % 4 > 0 then '{"n": ' || n || ', "tags": ["a", "b"]}' end,
  concat_ws(';', n, n % 7, n % 5), md5('x' || n)
from generate_series(1, 900) n;

insert into orders values
  ('{00000000-0000-0000-0000-00000000000A}', 'open', '2024-10-27 02:30', 0, null, 'N', '-0,01 €', 'null', '', repeat('0', 32)),
  ('FFFFFFFFFFFF4FFF8FFFFFFFFFFFFFFF', 'OPEN', '2024-03-31 02:30', -1, 0, 'Y', null, '', '1', repeat('f', 32)),
  ('00000000-0000-0000-0000-00000000000b', 'Shipped', 'infinity', null, -1, ' ', '1.000.000,00 €', '{"a": "it''s \"q\" 😀", "a": 1}', '2147483647', repeat('A', 32));
