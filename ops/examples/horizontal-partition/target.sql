create table page_views (
  id bigint primary key,
  viewed_at timestamp not null,
  visitor text,
  path text not null
);

create table payments (
  id bigint primary key,
  paid_at timestamp not null,
  visitor text,
  amount numeric(12, 2) not null
);

create table unknown_events (
  id bigint primary key,
  event jsonb not null
);
