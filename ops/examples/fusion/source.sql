create table crm_contacts (
  id integer primary key,
  email text,
  name text,
  phone text,
  changed_at timestamp not null
);

create table shop_accounts (
  number text primary key,
  login text not null,                   -- an e-mail address
  full_name text,
  city text,
  last_login timestamp
);

create table subscribers (address text not null, language char(2), subscribed_at timestamp not null);

create table shop_orders (id integer primary key, account text not null references shop_accounts, total numeric(8, 2) not null);

-- The same people, each source with gaps of its own; some twice in one source.
insert into crm_contacts
select n, 'person' || n % 250 || '@example.com', case when n % 3 > 0 then 'CRM name ' || n end, case when n % 4 > 0 then '+43 ' || n end,
  timestamp '2023-01-01' + n * interval '1 hour'
from generate_series(1, 400) n;
insert into shop_accounts
select 'A' || n, ' Person' || n % 300 || '@Example.com', case when n % 2 > 0 then 'Shop name ' || n end, case when n % 5 > 0 then 'City ' || n end,
  case when n % 7 > 0 then timestamp '2023-01-05' + n * interval '90 minutes' end
from generate_series(1, 350) n;
insert into subscribers
select 'person' || n || '@example.com', (array['de', 'en', null])[1 + n % 3], timestamp '2022-01-01' + n * interval '1 day'
from generate_series(200, 450) n;
insert into shop_orders select n, 'A' || 1 + n % 350, n * 0.75 from generate_series(1, 600) n;

insert into crm_contacts values
  (1001, null, 'No address', null, '2024-01-01'),
  (1002, '  ', 'Blank address', '', '2024-01-01'),
  (1003, 'ZOE@example.com', null, null, '2024-02-01'),
  (1004, 'zoe@example.com', 'Zoë 🦊', null, '2024-01-01');
insert into shop_accounts values ('Z''1"', 'zoe@example.com ', 'Zoe', '', null);
insert into subscribers values ('only@example.com', null, '2020-01-01');
insert into shop_orders values (9001, 'Z''1"', 0);
