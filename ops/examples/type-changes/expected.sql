-- expected: orders
select cast(id as uuid),
  case when status ilike '%open%' then 'open' when status ilike '%shipped%' then 'shipped' else 'cancelled' end,
  timezone('Europe/Vienna', placed_at),
  timestamptz 'epoch' + seen_at * interval '1 second',
  case when paid is null then null when paid = 0 then false else true end,
  case gift when 'Y' then true else false end,
  (replace(replace(replace(total, ' €', ''), '.', ''), ',', '.'))::numeric(12, 2),
  case when details <> '' then details::json::jsonb end,
  array(select item::integer from string_to_table(item_ids, ';') with ordinality i(item, n) order by n),
  ('\x' || fingerprint)::bytea
from orders;
