create table categories (
  id integer primary key,
  name text not null,
  parent_name text,
  path text not null,
  depth integer not null
);

create table category_closure (
  ancestor_id integer not null references categories,
  descendant_id integer not null references categories,
  distance integer not null,
  primary key (ancestor_id, descendant_id)
);
