create table document_versions (
  id integer primary key,
  slug text,
  version bigint not null,
  active boolean not null,
  content text not null,
  replaced_at timestamp,
  unique (slug, version)
);

create unique index one_active_version on document_versions (slug) where active;
