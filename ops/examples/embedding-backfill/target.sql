create table chunks (
  id integer primary key,
  content text not null,
  model text not null,
  embedding double precision[] not null
);
