-- expected: categories
select id, name from categories;

-- Run before the backfill.
-- expected: articles
select id, category_id, title, price, archived,
  array_to_string(array(select word[1] from regexp_matches(lower(title), '[a-z0-9]+', 'g') with ordinality m(word, n) order by n), '-'),
  floor(price * 100)::bigint,
  concat((select name || ': ' from categories where id = category_id), trim(title))
from articles where archived = false
union all
select id, category_id, title, price, archived, null, null, null from articles where archived;
