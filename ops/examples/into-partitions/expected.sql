-- expected: readings
select sensor, taken_at, value, note from readings;

-- expected: partitions
select case
    when taken_at >= '2024-01-01 00:00+00' and taken_at < '2024-04-01 00:00+00' then 'readings_2024_q1'
    when taken_at >= '2024-04-01 00:00+00' and taken_at < '2024-07-01 00:00+00' then 'readings_2024_q2'
    else 'readings_other'
  end as partition, count(*)
from readings
group by 1;
-- actual: partitions
select left(tableoid::regclass::text, 16), count(*) from readings group by 1;
