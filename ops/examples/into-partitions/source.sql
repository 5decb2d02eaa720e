create table readings (
  sensor text not null,
  taken_at timestamptz not null,
  value double precision,
  note text
);

insert into readings
select 's' || n % 17, timestamptz '2024-01-01 00:00+00' + n * interval '2 hours 10 minutes', (n % 100) / 3.0, case when n % 50 = 0 then 'note ' || n end
from generate_series(1, 1500) n;

insert into readings values
  ('s1', '2024-02-01 00:00+00', 'NaN', 'the first moment of a month'),
  ('s1', '2024-02-01 00:00+00', 'NaN', 'the first moment of a month'),
  ('', '2024-01-31 23:59:59.999999+00', '-Infinity', ''),
  ('s''2"', '1970-01-01 00:00+00', null, 'the clock was not set 🕰'),
  ('s3', 'infinity', 0, null);
