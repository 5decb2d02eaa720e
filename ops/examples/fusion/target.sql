create table people (
  email text primary key,
  name text,
  phone text,
  city text,
  language char(2)
);

create table orders (
  id integer primary key,
  email text not null references people,
  total numeric(8, 2) not null
);
