import pg from 'pg';
import { onServer, type TestDatabase } from '../postgres.ts';

/** A schema with one of everything that has to come back exactly. `tablespace` is the superuser's. */
export function zooSchema(version: number, tablespace: string): string {
  const since15 = (sql: string, before = '') => (version >= 15 ? sql : before);
  const since18 = (sql: string) => (version >= 18 ? sql : '');
  return `
create schema zoo;
create schema "Hostile ""Schema""";
create function zoo.squeeze(text) returns text language sql immutable return lower(btrim($1));
create function public.halve(int) returns int language sql immutable as $$ select $1 / 2 $$;
-- Calls a function by a name that only the role's search_path resolves.
create function zoo.halved(int) returns int language plpgsql immutable as $$ begin return halve($1); end $$;
create function zoo.note() returns trigger language plpgsql as $$ begin return new; end $$;

create table zoo.country (code char(2) collate "C", name text not null, area numeric,
  constraint "Country Key" primary key (code) include (name) with (fillfactor = 71) using index tablespace ${tablespace});
comment on constraint "Country Key" on zoo.country is 'a constraint''s comment';
comment on index zoo."Country Key" is 'an index''s \\ comment';
alter table zoo.country cluster on "Country Key";

create table zoo.animal (
  id int generated always as identity constraint animal_pkey primary key,
  tag text not null, name text, chip int, born date, range int4range, country char(2) collate "C",
  parent int, weight float8, attributes jsonb,
  constraint animal_tag unique (tag) with (fillfactor = 50, deduplicate_items = off) deferrable initially deferred,
  constraint animal_chip unique ${since15('nulls not distinct')} (chip, born) include (name) deferrable,
  constraint animal_range exclude using gist (range with &&) with (fillfactor = 60) where (id > 0) deferrable,
  constraint animal_bounds exclude using gist (range with -|-),
  constraint animal_parent foreign key (parent) references zoo.animal on delete set null deferrable,
  constraint animal_country foreign key (country) references zoo.country match full on update cascade
);
comment on constraint animal_parent on zoo.animal is 'family';
comment on constraint animal_range on zoo.animal is 'no overlap';
alter table zoo.animal add constraint animal_unproven foreign key (chip) references zoo.animal (id) not valid;
create unique index animal_name on zoo.animal (zoo.squeeze(name), chip desc nulls last) ${since15('nulls not distinct')}
  with (fillfactor = 80) where born is not null;
alter index zoo.animal_name alter column 1 set statistics 321;
create unique index animal_identity on zoo.animal (tag, id);
alter table zoo.animal replica identity using index animal_identity;
create index animal_weight on zoo.animal using brin (weight) with (pages_per_range = 16) tablespace ${tablespace};
create index animal_attributes on zoo.animal using gin (attributes jsonb_path_ops);
create index animal_pattern on zoo.animal (name text_pattern_ops, tag collate "C" desc nulls last) include (weight);
create index animal_half on zoo.animal (zoo.halved(chip));
create index animal_upper on zoo.animal (upper(name), (id % 10)) where name <> '' and tag ~ '^\\w';
alter index zoo.animal_upper alter column 2 set statistics 7;
alter index zoo.animal_upper alter column 1 set statistics 0;
comment on index zoo.animal_upper is 'upper';
alter index zoo.animal_half depends on extension plpgsql;
create statistics zoo.animal_statistics (dependencies, mcv) on tag, name from zoo.animal;
create trigger t_origin before insert on zoo.animal for each row execute function zoo.note();
create trigger t_replica before insert on zoo.animal for each row execute function zoo.note();
create trigger t_always after update of name on zoo.animal for each row when (new.id > 1) execute function zoo.note();
create trigger t_disabled before insert on zoo.animal for each statement execute function zoo.note();
create constraint trigger t_constraint after insert on zoo.animal deferrable for each row execute function zoo.note();
alter table zoo.animal enable replica trigger t_replica, enable always trigger t_always, disable trigger t_disabled;
comment on trigger t_origin on zoo.animal is 'origin';

create table zoo.pen (pen int, side int, primary key (side, pen));
create index pen_cluster on zoo.pen (pen);
alter table zoo.pen cluster on pen_cluster;
-- From a table outside of the plan.
create table zoo.outside (pen int, side int, animal int references zoo.animal,
  constraint outside_pen foreign key (side, pen) references zoo.pen (side, pen) match full on delete restrict);

create table zoo.visit (day date not null, animal int not null, place int, note text) partition by range (day);
create table zoo.visit_old partition of zoo.visit for values from (minvalue) to ('2020-01-01');
create table zoo.visit_other (note text, place int, animal int not null, day date not null);
create table zoo.visit_new partition of zoo.visit for values from ('2020-01-01') to (maxvalue)
  partition by hash (animal);
create table zoo.visit_new_0 partition of zoo.visit_new for values with (modulus 2, remainder 0);
alter table zoo.visit_other add constraint "other's key" primary key (animal, day);
create index "other place" on zoo.visit_other (place) with (fillfactor = 33) tablespace ${tablespace};
alter table zoo.visit_new attach partition zoo.visit_other for values with (modulus 2, remainder 1);
alter table zoo.visit add constraint visit_key primary key (animal, day);
comment on constraint visit_key on zoo.visit is 'root key';
comment on constraint "other's key" on zoo.visit_other is 'leaf key';
comment on index zoo."other's key" is 'leaf index';
alter table zoo.visit_old cluster on visit_old_pkey;
create index visit_place on zoo.visit (place) with (fillfactor = 44);
comment on index zoo.visit_place is 'root index';
create unique index visit_note on zoo.visit (animal, day, lower(note));
alter index zoo.visit_new_0_place_idx rename to "renamed leaf";
alter index zoo.visit_old_animal_day_lower_idx alter column 3 set statistics 99;
create index only_leaf on zoo.visit_old (note);
alter table zoo.visit_other add constraint other_animal foreign key (animal) references zoo.animal on delete cascade;
comment on constraint other_animal on zoo.visit_other is 'before its parent';
alter table zoo.visit add constraint visit_animal foreign key (animal) references zoo.animal on delete cascade;
alter table zoo.visit_old add constraint only_old foreign key (place) references zoo.animal;
create trigger visit_row after insert on zoo.visit for each row execute function zoo.note();
alter table only zoo.visit_old disable trigger visit_row;
alter table only zoo.visit_new_0 enable always trigger visit_row;
create trigger visit_leaf before insert on zoo.visit_old for each row execute function zoo.note();
create table zoo.visit_empty (id int, primary key (id)) partition by list (id);
-- The server makes up the names of what it derives for the referenced side's partitions.
create table zoo.stay (animal int, day date, visit int, foreign key (animal, day) references zoo.visit (animal, day));
create table zoo.visit_late partition of zoo.visit default;
create table zoo.parted_stay (animal int, day date, constraint parted_stay_visit foreign key (animal, day)
  references zoo.visit) partition by list (animal);
create table zoo.parted_stay_1 partition of zoo.parted_stay for values in (1);

create table zoo.base (id int primary key, v int);
create table zoo.heir (primary key (id), w int) inherits (zoo.base);
create index base_v on zoo.base (v);

create table zoo.grouped (id int primary key, name text unique);
create view zoo.grouping as select g.id, g.name, count(*) from zoo.grouped g group by g.id;
create table zoo.ruled (id int primary key, v int unique);
create rule ruled_upsert as on insert to zoo.ruled where new.v < 0 do also
  insert into zoo.ruled values (-new.id, 1) on conflict (id) do nothing;
create table zoo.filled (id int primary key, v int);
insert into zoo.filled select i, i from generate_series(1, 10) i;
create index filled_v on zoo.filled (v);
create table zoo.published (id int primary key, v int unique);
create publication "p_${tablespace}" for table zoo.published;
create table zoo.twice (id int primary key);
alter table zoo.twice add constraint twice_again unique (id);
create table zoo.twice_child (id int references zoo.twice);

create table "Hostile ""Schema"""."select ""$1"" %I" ("from" int, "Ünï cödé \\" text, " " int,
  constraint "per cent % 'quoted' $x$" unique ("from", "Ünï cödé \\"), primary key (" "));
create index "index with "" quote" on "Hostile ""Schema"""."select ""$1"" %I" (("from" + 1));
create table "Hostile ""Schema""".nothing ();
${since18(`
create table zoo.lease (house int4range, during daterange, constraint lease_key primary key (house, during without overlaps));
create table zoo.lodger (house int4range, during daterange, animal int, constraint lodger_lease
  foreign key (house, period during) references zoo.lease (house, period during));
alter table zoo.lodger add constraint lodger_not_enforced foreign key (animal) references zoo.animal not enforced;
alter table zoo.parted_stay add constraint parted_unproven foreign key (animal) references zoo.animal not valid;
alter table zoo.parted_stay_1 validate constraint parted_unproven;
`)}`;
}

/** Tables of the zoo that a plan would load; `zoo.outside` and the partitions are not named. */
export async function zooTables(database: TestDatabase): Promise<{ schema: string; name: string }[]> {
  const { rows } = await database.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'outside'
       and n.nspname !~ '^(pg_|information_schema)' order by 1, 2`,
  );
  return rows;
}

/** A tablespace on the server; returns its name. Drop it after its database with `dropTablespace`. */
export async function createTablespace(
  database: TestDatabase,
  { grant }: { grant: boolean },
): Promise<string> {
  const name = `space_${database.name}`;
  const superuser = new pg.Client(database.superuserUrl);
  await superuser.connect();
  try {
    await superuser.query('set allow_in_place_tablespaces = on'); // For this session only.
    await superuser.query(`create tablespace ${name} location ''`);
    if (grant) await superuser.query(`grant create on tablespace ${name} to app`);
  } finally {
    await superuser.end();
  }
  return name;
}

/** Does nothing while its database is kept. */
export async function dropTablespace(database: TestDatabase): Promise<void> {
  if (process.env.ROWFLEET_KEEP === '1') return;
  await onServer(database.version, `drop tablespace space_${database.name}`);
}
