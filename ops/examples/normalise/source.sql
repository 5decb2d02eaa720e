create table articles (
  id integer primary key,
  name text not null,
  brand text,                            -- its name; nothing else is known of brands
  tags text,                             -- 'garden, tools,,garden '
  sizes text[],                          -- {S,M,NULL}
  attributes jsonb                       -- {"colour": "red", "washable": true}
);

create index on articles (brand);

insert into articles
select n, 'Article ' || n, case when n % 10 > 0 then 'Brand ' || n % 23 end,
  concat_ws(', ', 'tag' || n % 31, ' tag' || n % 13, nullif('tag' || n % 7, 'tag3')),
  case n % 3 when 0 then array['S', 'M', 'L'] when 1 then '{}'::text[] end,
  case when n % 5 > 0 then jsonb_build_object('colour', 'c' || n % 8, 'weight', n, 'washable', n % 2 = 0) end
from generate_series(1, 800) n;

insert into articles values
  (1001, '', '', '', '{}', '{}'),
  (1002, 'Odd one', 'O''Neill "Surf" 🏄', ',, tag1 ,tag1,,', array['', null, 'S', 'S'], '{"a": null, "": [1, 2], "q\"": {"x": 1}}'),
  (1003, 'Commas', 'Brand 1', ' 🏷 ', null, null);
