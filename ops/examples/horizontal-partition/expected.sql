-- expected: page_views
select id, happened_at, visitor, path from events where kind = 'view';

-- expected: payments
select id, happened_at, visitor, amount from events where kind = 'purchase'
union all
select id, happened_at, visitor, -amount from events where kind = 'refund';

-- expected: unknown_events
select id,
  jsonb_build_object('id', id, 'kind', kind, 'happened_at', happened_at, 'visitor', visitor, 'path', path, 'amount', amount)
from events
where kind is null or (kind <> 'view' and kind <> 'purchase' and kind <> 'refund');
