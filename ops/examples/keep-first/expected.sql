-- The id is the target's own; the order is NULLS LAST, as PostgreSQL sorts where nothing else is said.
-- expected: users
select distinct on (lower(email)) lower(email), coalesce(campaign, ''), signed_up_at
from sign_ups
order by lower(email), signed_up_at nulls last, coalesce(campaign, '');
-- actual: users
select email, campaign, since from users;
