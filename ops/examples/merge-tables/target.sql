create table products (
  kind text not null check (kind in ('book', 'record', 'voucher')),
  number text not null,
  title text not null,
  maker text,
  price numeric(12, 2) not null,
  details jsonb not null,
  primary key (kind, number)
);
