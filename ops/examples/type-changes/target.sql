create type order_status as enum ('open', 'shipped', 'cancelled');

create table orders (
  id uuid primary key,
  status order_status not null,
  placed_at timestamptz not null,
  seen_at timestamptz,
  paid boolean,
  gift boolean not null,
  total numeric(12, 2),
  details jsonb,
  item_ids integer[] not null,
  fingerprint bytea not null
);
