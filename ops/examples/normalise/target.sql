create table brands (name text primary key, articles bigint not null);

create table articles (
  id integer primary key,
  name text not null,
  brand text references brands
);

create table tags (name text primary key);

create table article_tags (
  article_id integer not null references articles,
  tag text not null references tags,
  primary key (article_id, tag)
);

create table article_sizes (
  article_id integer not null references articles,
  position bigint not null,
  size text,
  primary key (article_id, position)
);

create table article_attributes (
  article_id integer not null references articles,
  name text not null,
  value jsonb not null,
  primary key (article_id, name)
);
