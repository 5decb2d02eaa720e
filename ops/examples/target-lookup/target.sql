-- The new system keeps these lists itself and has given them keys of its own.
create table countries (
  id uuid primary key,
  code char(2) not null unique,
  name text not null
);

create table tiers (
  currency char(3) not null,
  name text not null,
  id integer not null unique,
  primary key (currency, name)
);

insert into countries values
  ('0b5c0000-0000-4000-8000-000000000041', 'AT', 'Österreich'),
  ('7d2e0000-0000-4000-8000-000000000044', 'DE', 'Deutschland'),
  ('51aa0000-0000-4000-8000-000000000043', 'CH', 'Schweiz'),
  ('e3f10000-0000-4000-8000-00000000004c', 'LI', 'Liechtenstein');
insert into tiers values ('EUR', 'gold', 70), ('EUR', 'silver', 71), ('EUR', 'basic', 72), ('CHF', 'gold', 80), ('CHF', 'silver', 81), ('CHF', 'basic', 82);

create table customers (
  id integer primary key,
  name text not null,
  country_id uuid references countries,
  tier_id integer not null references tiers (id)
);
