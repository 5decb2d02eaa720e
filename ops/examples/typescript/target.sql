create table message_recipients (
  message_id bigint not null,
  position integer not null,
  name text,
  address text not null,
  primary key (message_id, position)
);
