create table orders (id integer primary key, customer text not null);

create table order_lines (
  order_id integer not null references orders,
  position bigint not null,
  sku text not null,
  quantity integer not null,
  price numeric(8, 2),
  primary key (order_id, position)
);

create table order_phones (
  order_id integer not null references orders,
  phone text
);
