create table customers (id integer primary key, name text not null, country text);
create table coupons (code text primary key, percent integer not null);
create table orders (
  id integer primary key,
  customer_id integer not null references customers,
  coupon text references coupons,
  placed_on date not null
);
create table products (id integer primary key, name text not null, price numeric(8, 2) not null);
create table order_lines (
  order_id integer not null references orders,
  position integer not null,
  product_id integer not null references products,
  quantity integer not null,
  primary key (order_id, position)
);

insert into customers select n, 'Customer ' || n, (array['AT', 'DE', null])[1 + n % 3] from generate_series(1, 80) n;
insert into coupons values ('SPRING', 10), ('it''s "half"', 50), ('', 0);
insert into orders
select n, 1 + n % 80, case n % 10 when 3 then 'SPRING' when 7 then '' end, date '2024-01-01' + n % 366 from generate_series(1, 400) n;
insert into products select n, 'Product ' || n, n * 0.99 from generate_series(1, 50) n;
insert into order_lines select 1 + n % 400, n, 1 + n % 50, 1 + n % 4 from generate_series(1, 1300) n;

insert into customers values (501, 'Zoë 🚚', null);
insert into orders values (901, 501, 'it''s "half"', '0001-01-01'), (902, 501, null, 'infinity');
insert into products values (901, '', 0);
insert into order_lines values (901, 1, 901, 0), (901, 2, 901, -1), (902, 1, 1, 2147483647);
