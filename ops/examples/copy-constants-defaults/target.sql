create table countries (code char(2) primary key, name text not null);

create table customers (
  id bigint primary key,
  name text not null,
  email text,
  discount_percent integer not null,
  origin text not null,
  merged_into bigint,
  active boolean not null default true,
  locale text not null default 'de-AT',
  preferred boolean generated always as (discount_percent > 10) stored
);
