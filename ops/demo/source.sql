-- The old shape: what five years of growth leave behind. One transaction; the sizes and the seed come from the
-- temporary table demo_size. Every value is a hash of its row number and the seed, so that the same seed gives the
-- same database, on any version and machine.

create table texts (
  id integer primary key,
  title text not null,
  author varchar(80),
  language char(2) not null,
  abstract text not null,
  created_at timestamp not null            -- in UTC, though nothing says so
);

create table chunks (
  id integer not null,
  text_id integer not null,
  parent_id integer,
  role varchar(10) not null,
  position smallint not null,
  content text not null,                   -- padded here and there, and sometimes empty
  meta jsonb,
  changed_at timestamp not null
);

create table tags (
  id serial primary key,
  name text not null unique,
  color varchar(7)
);

create table chunk_tags (
  chunk_id integer not null,
  tag_id integer not null,
  weight real not null
);

create table chunk_embeddings (
  chunk_id integer not null,
  model text not null,
  vector float4[] not null
);

create table graph_nodes (
  id integer not null,
  label text not null,
  chunk_id integer,                        -- null: a node about nothing in particular
  score numeric(8, 5) not null,
  properties text not null                 -- JSON, kept as text
);

create temporary table demo_words on commit drop as select array[
  'A fleet of workers copies what one script could not.', 'Every batch is a promise kept in one transaction.',
  'Nobody remembers why this column is called flag2.', 'The night was quiet, and so were the logs.',
  'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.', 'Rows are counted before they are trusted.',
  'Portez ce vieux whisky au juge blond qui fume.', 'いろはにほへと ちりぬるを', 'Tab	and "quotes" and \ backslashes live here.',
  'An index built late is an index built once.', 'What was taken down comes back exactly as it was.',
  'The queue forgets; the ledger does not.', 'Measure first, then believe.', 'Съешь же ещё этих мягких французских булок.',
  'A key is an expression over an older key.', 'Nothing is lost that can be named.'
] as sentences;

insert into texts
select g, 'Text ' || g || ': ' || left(w.sentences[1 + h % 16], 40), case when h % 7 > 0 then 'Author ' || h % 900 end,
  (array['en', 'de', 'fr', 'ja'])[1 + h / 16 % 4], w.sentences[1 + h / 64 % 16] || ' ' || w.sentences[1 + h / 1024 % 16],
  timestamp '2019-01-01' + h % 150000000 * interval '1 second'
from demo_size s, demo_words w, generate_series(1, s.texts) g,
  lateral (select (hashint8extended(g, s.seed) & 1073741823)::int as h) r;

-- Twenty to a text. Each odd position hangs below position (n - 1) / 2, so a chunk has up to four ancestors; only
-- positions 17 and 18, which nothing hangs below, are ever empty.
insert into chunks
select g, (g - 1) / 20 + 1, case when p % 2 = 1 then g - p + (p - 1) / 2 end,
  case when p % 10 = 0 then 'summary' else 'body' end, p,
  case when p in (17, 18) and h % 5 = 0 then '' else
    repeat(' ', (h % 11 = 0)::int) || w.sentences[1 + h % 16] || ' ' || w.sentences[1 + h / 16 % 16] || ' '
    || w.sentences[1 + h / 256 % 16] || repeat(' ', (h % 13 = 0)::int) end,
  case when h % 4 > 0 then jsonb_build_object('page', 1 + p / 4, 'checked', h % 3 = 0, 'ratio', (h % 1000) / 100.0) end,
  timestamp '2021-06-01' + h % 100000000 * interval '1 second'
from demo_size s, demo_words w, generate_series(1, s.chunks) g,
  lateral (select (hashint8extended(g, s.seed + 1) & 1073741823)::int as h, (g - 1) % 20 as p) r;

insert into tags
select g, 'tag ' || g, '#' || lpad(to_hex(g * 7919 % 16777216), 6, '0') from demo_size s, generate_series(1, s.tags) g;
select setval('tags_id_seq', (select tags from demo_size));

-- Two tags for one chunk out of each two.
insert into chunk_tags
select pair * 2 + 1 + h % 2, 1 + (h + (g % 2) * 3) % s.tags, (h % 100) / 100.0
from demo_size s, generate_series(0, s.chunk_tags - 1) g,
  lateral (select g / 2 as pair) q,
  lateral (select (hashint8extended(pair, s.seed + 2) & 1073741823)::int as h) r;

-- One chunk out of each four; 64 neighbours of a long row of pseudorandom numbers between -1 and 1.
insert into chunk_embeddings
select (g - 1) * 4 + 1 + h % 4, 'mini-64', n[1 + h % 65536 : 64 + h % 65536]
from demo_size s, generate_series(1, s.chunk_embeddings) g,
  lateral (select (hashint8extended(g, s.seed + 3) & 1073741823)::int as h) r,
  lateral (select (select array_agg(((hashint8extended(i, (select seed from demo_size)) & 65535) / 32768.0 - 1)::float4)
    from generate_series(1, 65600) i) as n) v;

insert into graph_nodes
select g, 'node ' || g, case when h % 10 > 0 then 1 + h % s.chunks end, h % 10000000 / 100000.0,
  '{"hops": ' || h % 6 || ',  "origin": "import ' || h % 40 || '"}'
from demo_size s, generate_series(1, s.graph_nodes) g,
  lateral (select (hashint8extended(g, s.seed + 4) & 1073741823)::int as h) r;

alter table chunks add primary key (id),
  add foreign key (text_id) references texts, add foreign key (parent_id) references chunks;
alter table chunk_tags add primary key (chunk_id, tag_id),
  add foreign key (chunk_id) references chunks, add foreign key (tag_id) references tags;
alter table chunk_embeddings add primary key (chunk_id), add foreign key (chunk_id) references chunks;
alter table graph_nodes add primary key (id), add foreign key (chunk_id) references chunks;

-- Nobody asks which numbers are in a vector most often, and finding out takes seconds.
alter table chunk_embeddings alter column vector set statistics 0;
analyze texts, chunks, tags, chunk_tags, chunk_embeddings, graph_nodes;
