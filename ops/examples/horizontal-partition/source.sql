create table events (
  id bigint primary key,
  kind text,
  happened_at timestamp not null,
  visitor text,
  path text,
  amount numeric(10, 2)
);

insert into events
select n, (array['view', 'purchase', 'refund', 'view', 'view'])[1 + n % 5], timestamp '2024-01-01' + n * interval '37 minutes',
  'v' || n % 90, case when n % 5 in (0, 3, 4) then '/page/' || n % 40 end, case when n % 5 in (1, 2) then n * 1.25 end
from generate_series(1, 1200) n;

insert into events values
  (5001, null, '2024-06-01', null, '/?q=it''s', null),
  (5002, '', '2024-06-02', 'v1', '', null),
  (5003, 'View', '2024-06-03', 'v2', '/case', null),
  (5004, 'view', '2024-06-04', null, '/😀', null),
  (5005, 'purchase', '2024-06-05', null, null, 0),
  (5006, 'refund', 'infinity', 'v"3"', null, 99999999.99);
