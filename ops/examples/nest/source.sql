create table tickets (id integer primary key, subject text not null, opened_on date not null);
create table comments (
  ticket_id integer not null references tickets,
  number integer not null,
  author text,
  body text not null,
  primary key (ticket_id, number)
);
create table ticket_labels (ticket_id integer not null references tickets, label text not null);
create index on ticket_labels (ticket_id);

insert into tickets select n, 'Ticket ' || n, date '2024-01-01' + n % 300 from generate_series(1, 350) n;
insert into comments
select 1 + n * 7 % 300, n, case when n % 6 > 0 then 'user' || n % 25 end, 'Comment ' || n from generate_series(1, 1100) n;
insert into ticket_labels select 1 + n % 200, 'label ' || n % 9 from generate_series(1, 500) n;

insert into tickets values (901, '', '0001-01-01'), (902, 'It''s "quoted"', 'infinity');
insert into comments values (901, 2, null, ''), (901, 1, '', E'\n'), (902, 1, '"x"', '😀 \ ''');
insert into ticket_labels values (902, 'b'), (902, 'a, with comma'), (902, 'B'), (902, ''), (902, 'b');
