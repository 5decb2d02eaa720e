create table chunks (
  id integer primary key,
  content text not null
);

insert into chunks
select n, 'Chunk ' || n || ' about ' || (array['queues', 'ledgers', 'batches', 'indexes'])[1 + n % 4] || repeat(' aeiou', n % 9) from generate_series(1, 700) n;

insert into chunks values (1001, ''), (1002, 'It''s "quoted" \ and 🙂🙃'), (1003, 'ÄÖÜ'), (1004, 'aaa');
