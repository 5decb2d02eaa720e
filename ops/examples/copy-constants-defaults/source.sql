create table countries (code char(2) primary key, name text not null);

create table clients (
  id integer primary key,
  name text not null,
  mail text,
  discount smallint not null
);

insert into countries values ('AT', 'Österreich'), ('CH', 'Schweiz'), ('DE', 'Deutschland');

insert into clients
select n, 'Client ' || n, 'client' || n || '@example.com', n % 25 from generate_series(1, 600) n;

insert into clients values
  (1001, '', '', 0),
  (1002, 'O''Hara & "Sons"', null, 12),
  (1003, E'Tab\there \\ back', 'ü@example.org', 11),
  (1004, 'Zoë 🛒', 'zoe@example.org', 10);
