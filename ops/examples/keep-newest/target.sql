create table prices (
  sku text primary key,
  price numeric(8, 2),
  currency char(3) not null,
  valid_from date not null
);
