create table readings (
  sensor text not null,
  taken_at timestamptz not null,
  value double precision,
  note text
) partition by range (taken_at);

create table readings_2024_q1 partition of readings for values from ('2024-01-01 00:00+00') to ('2024-04-01 00:00+00');
create table readings_2024_q2 partition of readings for values from ('2024-04-01 00:00+00') to ('2024-07-01 00:00+00')
  partition by hash (sensor);
create table readings_2024_q2_a partition of readings_2024_q2 for values with (modulus 2, remainder 0);
create table readings_2024_q2_b partition of readings_2024_q2 for values with (modulus 2, remainder 1);
create table readings_other partition of readings default;

create index on readings (sensor, taken_at);
