-- expected: products
select 'book', isbn, title, author, price, case when pages is null then '{}'::jsonb else jsonb_build_object('pages', pages) end
from books
union all
select 'record', number::text, title, artist, price,
  case when minutes is null then '{}'::jsonb else jsonb_build_object('minutes', minutes) end
from records
union all
select 'voucher', code, concat('Voucher ', code), null, amount::numeric(12, 2), '{}' from vouchers;
