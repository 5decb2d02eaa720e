-- expected: prices
select p.sku, p.price, p.currency, p.valid_from
from price_changes p
where not exists (
  select from price_changes later where later.sku = p.sku and (later.valid_from, later.id) > (p.valid_from, p.id)
);
