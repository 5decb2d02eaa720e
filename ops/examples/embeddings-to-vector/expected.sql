-- expected: chunks
select id, content, translate(embedding::text, '{}', '[]') from chunks;
