create table customers (
  id integer primary key,
  name text not null,
  email text,
  notes text
);

create table addresses (
  customer_id integer primary key references customers,
  street text,
  postcode varchar(10),
  city text
);

create table preferences (
  customer_id integer primary key references customers,
  newsletter boolean not null,
  language text not null
);
