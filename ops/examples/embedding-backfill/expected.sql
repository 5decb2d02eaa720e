-- expected: chunks
select id, content, 'vowels-1',
  array(
    select (length(content) - length(replace(content, vowel, '')))::double precision / greatest(length(content), 1)
    from string_to_table('a,e,i,o,u', ',') with ordinality v(vowel, n) order by n
  )
from chunks;
