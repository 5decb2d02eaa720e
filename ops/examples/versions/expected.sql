-- expected: document_versions
select d.id, d.slug,
  (select count(*) from documents o where o.slug is not distinct from d.slug and (o.created_at, o.id) <= (d.created_at, d.id)),
  not exists (select from documents o where o.slug is not distinct from d.slug and (o.created_at, o.id) > (d.created_at, d.id)),
  d.content,
  (select min(o.created_at) from documents o
    where o.slug is not distinct from d.slug and (o.created_at, o.id) > (d.created_at, d.id))
from documents d;
