create table sales (
  order_id integer not null,
  position integer not null,
  placed_on date not null,
  customer text not null,
  country text not null,
  product text not null,
  quantity bigint not null,
  amount numeric(16, 2) not null,
  coupon_percent integer,
  primary key (order_id, position)
);

create index on sales (placed_on);
