create table tenants (id integer primary key, name text not null);

create table users (
  id integer primary key,
  tenant_id integer not null references tenants,
  name text not null
);

create table tickets (
  id integer primary key,
  tenant_id integer not null references tenants,
  opened_by integer not null references users,
  subject text not null
);

-- No tenant_id: whose they are, only their ticket says.
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

insert into tenants select n, 'Tenant ' || n from generate_series(1, 5) n;
insert into users select n, 1 + n % 5, 'User ' || n from generate_series(1, 50) n;
insert into tickets
select n, 1 + n % 5, 1 + (n + 4) % 50, 'Ticket ' || n from generate_series(1, 400) n;
insert into comments
select n, 1 + n % 400, case when n % 11 > 0 then 1 + (n + 5) % 50 end, 'Comment ' || n from generate_series(1, 900) n;
insert into attachments
select n, 'file ' || n || '.txt', decode(md5(n::text), 'hex') from generate_series(1, 900, 7) n;
insert into labels select n, 'label ' || n from generate_series(1, 12) n;
insert into ticket_labels select n, 1 + (n * l) % 12 from generate_series(1, 400) n, generate_series(1, 2) l on conflict do nothing;

-- A ticket of tenant 3 that somebody of tenant 4 opened: their user must come along, or the key would hang.
insert into users values (900, 4, 'The auditor''s "guest" 🕵');
insert into tickets values (900, 3, 900, ''), (901, 4, 900, 'Not ours');
insert into comments values (1900, 900, null, E'line\nbreak'), (1901, 900, 49, ''), (1902, 901, 900, 'Not ours');
insert into attachments values (1900, 'Ümläut 😀.txt', null), (1902, 'not ours', '\x00');
