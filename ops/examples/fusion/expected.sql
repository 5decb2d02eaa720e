-- expected: people
with known as (
  select lower(trim(email)) as email, 1 as rank, changed_at as at, name, nullif(phone, '') as phone, null as city, null as language
  from crm_contacts where email is not null and trim(email) <> ''
  union all
  select lower(trim(login)), 2, last_login, full_name, null, nullif(city, ''), null from shop_accounts
  union all
  select lower(trim(address)), 3, subscribed_at, null, null, null, language from subscribers
)
select p.email,
  (select name from known k where k.email = p.email and name is not null order by rank, at desc nulls last limit 1),
  (select phone from known k where k.email = p.email and phone is not null order by rank, at desc nulls last limit 1),
  (select city from known k where k.email = p.email and city is not null order by rank, at desc nulls last limit 1),
  (select language from known k where k.email = p.email and language is not null order by rank, at desc nulls last limit 1)
from (select distinct email from known) p;

-- expected: orders
select id, (select lower(trim(login)) from shop_accounts where number = account), total from shop_orders;
