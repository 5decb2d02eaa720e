create table contacts (
  id integer primary key,
  full_name text not null,               -- 'Last, First', or only one of them
  phone text,                            -- '+43 1 5123456'
  street text,
  house_number text,
  postcode text,
  city text,
  birth_day smallint,
  birth_month smallint,
  birth_year smallint
);

insert into contacts
select n, 'Last' || n || ', First' || n, '+4' || n % 10 || ' ' || n || ' ' || n * 31, 'Street ' || n % 50, n % 90 || 'a', lpad(n::text, 4, '0'), 'City ' || n % 9,
  1 + n % 28, 1 + n % 12, 1940 + n % 80
from generate_series(1, 700) n;

insert into contacts values
  (1001, 'Madonna', '112', 'Hauptstraße', null, null, 'Graz', null, null, null),
  (1002, 'O''Brien, "Pat", Jr.', null, '', '', '', '', 29, 2, 2024),
  (1003, '', '', null, null, null, null, null, 1, 1990),
  (1004, ' Sun ,  Zoë 🌞 ', '+1  555', 'A', '1', '2', 'B', 31, 12, 1999);
