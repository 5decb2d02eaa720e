-- Flows that are read together, and maps from old keys to new ones.

alter table rowfleet.flow
  add column read_with text,                           -- of flows that one COPY feeds: the first of them, which has the batches
  add column waits_for text[] not null default '{}',   -- flows that must be copied before: what its rows are looked up in
  add column bounds text[] not null default '{}';      -- of a flow that is cut by key: what parts its ranges
alter table rowfleet.task add column outputs jsonb;   -- of a batch that feeds several flows: {flow: {rowsOut, rowsIn}}
alter table rowfleet.quarantine add column outputs_in jsonb; -- the same of a row that was loaded later

-- A map from old keys to new ones is the table rowfleet.id_map_<name> (old_1, …, new_id). It outlives its run.
create table rowfleet.id_map (
  name text primary key,
  source text not null,               -- identity of the database that the old keys are of
  relation text not null,             -- display name of the table that they are of
  old_types text[] not null,
  new_type text not null,
  created_at timestamptz not null default now()
);

alter table rowfleet.quarantine add column trace bytea;   -- what a transform threw for the row, in full; sealed like its values
alter table rowfleet.quarantine add column driving bigint not null default 1; -- driving rows that it stands for: more than one of a group
