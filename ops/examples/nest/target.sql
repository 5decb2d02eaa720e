create table tickets (
  id integer primary key,
  subject text not null,
  opened_on date not null,
  comments jsonb not null
);

create table ticket_labels (
  ticket_id integer primary key references tickets,
  labels text[] not null
);
