create table tenants (id integer primary key, name text not null);

create table users (
  id integer primary key,
  tenant_id integer not null,             -- refers to nothing: the tenant of a guest stays behind
  name text not null
);

create table tickets (
  id integer primary key,
  tenant_id integer not null references tenants,
  opened_by integer not null references users,
  subject text not null
);

create table comments (
  id integer primary key,
  ticket_id integer not null references tickets,
  author_id integer references users,
  body text not null
);

create table attachments (
  comment_id integer not null references comments,
  file_name text not null,
  content bytea,
  primary key (comment_id, file_name)
);

create table labels (id integer primary key, name text not null unique);

create table ticket_labels (
  ticket_id integer not null references tickets,
  label_id integer not null references labels,
  primary key (ticket_id, label_id)
);
