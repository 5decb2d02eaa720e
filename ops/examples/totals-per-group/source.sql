create table bookings (
  id integer primary key,
  account text not null,
  booked_on date not null,
  amount numeric(12, 2) not null,
  kind text
);

create index on bookings (account);

insert into bookings
select n, 'AT' || lpad(((n * 13) % 130)::text, 4, '0'), date '2024-01-01' + (n * 37) % 366, ((n * 7919) % 20000 - 10000) / 100.0,
  (array['card', 'cash', null])[1 + n % 3]
from generate_series(1, 1600) n;

insert into bookings values
  (9001, '', '2024-02-29', 0, ''),
  (9002, 'it''s "odd" 💶', '2024-12-31', 9999999999.99, 'card'),
  (9003, 'it''s "odd" 💶', '2024-12-31', -9999999999.99, null),
  (9004, 'it''s "odd" 💶', '0001-01-01', 0.01, null);
