-- What stands behind the new keys, for the source does not know them.
-- expected: customers
select id, name, case when trim(upper(country)) in ('AT', 'CH', 'DE', 'LI') then trim(upper(country)) end,
  case when country in ('CH', 'LI') then 'CHF' else 'EUR' end, tier
from customers;
-- actual: customers
select c.id, c.name, k.code, t.currency, t.name
from customers c left join countries k on k.id = c.country_id join tiers t on t.id = c.tier_id;
