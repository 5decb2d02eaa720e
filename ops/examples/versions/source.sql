create table documents (
  id integer primary key,
  slug text,
  content text not null,
  created_at timestamp not null
);

create index on documents (slug);

insert into documents
select n, 'doc-' || (n * 17) % 260, 'Content ' || n, timestamp '2024-01-01' + ((n * 7919) % 4000) * interval '1 minute' from generate_series(1, 1300) n;

insert into documents values
  (9001, '', '', '2024-01-01'),
  (9002, 'it''s "odd" 📄', 'saved twice in the same moment', '2024-05-05'),
  (9003, 'it''s "odd" 📄', 'saved twice in the same moment', '2024-05-05'),
  (9004, 'it''s "odd" 📄', 'older, though it has a higher number', '-infinity'),
  (9005, null, 'without a slug', '2024-01-01'),
  (9006, null, 'without a slug as well', '2024-01-02');
