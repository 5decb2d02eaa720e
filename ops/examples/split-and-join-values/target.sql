create table contacts (
  id integer primary key,
  last_name text not null,
  first_name text,
  country_code text,
  phone_number text,
  address text,
  born_on date
);
