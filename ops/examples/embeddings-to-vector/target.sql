create extension if not exists vector;

create table chunks (
  id integer primary key,
  content text not null,
  embedding vector(4)
);
