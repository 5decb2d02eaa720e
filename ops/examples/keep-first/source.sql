create table sign_ups (
  email text not null,
  campaign text,
  signed_up_at timestamp,
  ip inet
);

insert into sign_ups
select 'user' || (n * 7919) % 370 || '@example.com', 'campaign ' || n % 11, timestamp '2024-01-01' + ((n * 104729) % 5000) * interval '1 minute',
  ('10.0.' || n % 200 || '.' || n % 250)::inet
from generate_series(1, 1500) n;

insert into sign_ups values
  ('zoe@example.com', 'without a time', null, null),
  ('ZOE@example.com', 'It''s the "first" 🥇', '2024-03-01', '::1'),
  ('zoe@example.com', 'the second', '2024-03-02', '::1'),
  ('', null, '-infinity', null),
  ('', '', '-infinity', null),
  ('only@example.com', '', null, null);
