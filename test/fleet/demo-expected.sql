-- What the demo must come out as, written by hand and without the plan: the old shape stands in the schema old, the
-- new one (ops/demo/target.sql) in public, in one database.

alter table unified_chunks disable trigger unified_chunks_touch;

insert into tags (id, name, color) select id, name, color from old.tags;

insert into unified_chunks (id, kind, old_id, document_id, title, content, metadata, updated_at)
select 4 * id, 'document', id, null, title, abstract,
  case when author is null then jsonb_build_object('language', language)
       else jsonb_build_object('language', language, 'author', author) end,
  timezone('UTC', created_at)
from old.texts;

create table new_keys as
select id as chunk_id, 4::bigint * id + case when role = 'body' then 1 else 2 end as new_id
from old.chunks where char_length(content) > 0;
alter table new_keys add primary key (chunk_id);
analyze new_keys;

insert into unified_chunks (id, kind, old_id, document_id, title, content, metadata, updated_at)
select k.new_id, c.role, c.id, 4 * c.text_id,
  (select 'Summary of ' || t.title from old.texts t where t.id = c.text_id and c.role = 'summary'),
  trim(both ' ' from c.content),
  case when c.meta is null then jsonb_build_object('position', c.position)
       else jsonb_set(c.meta, '{position}', to_jsonb(c.position)) end,
  timezone('UTC', c.changed_at)
from old.chunks c join new_keys k on k.chunk_id = c.id;

insert into chunk_hierarchy (descendant_id, ancestor_id, depth)
with recursive pairs (descendant, ancestor, depth) as (
  select id, parent_id, 1 from old.chunks where parent_id is not null
  union all
  select p.descendant, c.parent_id, p.depth + 1
  from pairs p join old.chunks c on c.id = p.ancestor where c.parent_id is not null
)
select d.new_id, a.new_id, p.depth
from pairs p join new_keys d on d.chunk_id = p.descendant join new_keys a on a.chunk_id = p.ancestor;

insert into unified_chunk_tags (chunk_id, tag_id, weight)
select k.new_id, ct.tag_id, ct.weight from old.chunk_tags ct, new_keys k where k.chunk_id = ct.chunk_id;

insert into embedding_references (chunk_id, model, vector)
select k.new_id, e.model, e.vector from old.chunk_embeddings e, new_keys k where k.chunk_id = e.chunk_id;

insert into graph_references (id, label, chunk_id, score, properties)
select g.id, g.label, (select k.new_id from new_keys k where k.chunk_id = g.chunk_id),
  cast(g.score as numeric(6, 3)), cast(g.properties as jsonb)
from old.graph_nodes g;

drop table new_keys;
alter table unified_chunks enable trigger unified_chunks_touch;
refresh materialized view document_overview;
