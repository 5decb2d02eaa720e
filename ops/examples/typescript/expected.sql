-- Commas within quotes are hidden behind a character that no header holds; then the header is split at the others.
-- expected: message_recipients
with headers as (
  select id, string_agg(case when n % 2 = 0 then replace(piece, ',', chr(1)) else piece end, '"' order by n) as header
  from messages, string_to_table(recipients, '"') with ordinality p(piece, n)
  group by id
), parts as (
  select id, n, translate(trim(part), chr(1), ',') as part
  from headers, string_to_table(header, ',') with ordinality p(part, n)
), recipients as (
  select id, n,
    case when part like '%<%' then trim(split_part(part, '<', 1)) end as name,
    lower(case when part like '%<%' then trim(trailing '>' from split_part(part, '<', 2)) else part end) as address
  from parts
)
select id, row_number() over (partition by id order by n),
  case when name like '"%' then replace(substr(name, 2, length(name) - 2), '""', '"') when name <> '' then name end,
  address
from recipients
where address <> '';
