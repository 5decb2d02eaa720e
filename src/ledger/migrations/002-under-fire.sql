-- Leading, holding back, quarantine, error patterns, and plans that were mended while their run went on.

-- Who leads. Every write of a scheduler holds this row at the epoch it was elected with; being a key, the epoch can be
-- held while the lease is renewed.
create table rowfleet.leader (
  epoch bigint primary key default 0,
  singleton boolean not null default true unique check (singleton),
  worker text,
  lease_until timestamptz not null default '-infinity'
);
insert into rowfleet.leader default values;

alter table rowfleet.run drop constraint run_state_check;
alter table rowfleet.run
  add constraint run_state_check check (state in
    ('running', 'stopped', 'cancelling', 'failed', 'cancelled', 'findings', 'quarantined', 'verified')),
  add column revision int not null default 1,            -- of its plan: see plan_revision
  add column verified_at timestamptz,                    -- when it first was: its rows may be in use since
  add column settings jsonb not null default '{}',       -- what people set while it goes on: see settings.ts
  add column source_label text,                          -- host, port and database of the source, as its scheduler has it
  add column changes bigint not null default 0;          -- by people: a scheduler's look that began before one writes no more

alter table rowfleet.attempt add column waiting text; -- what it waits for, with the number behind it
alter table rowfleet.worker
  add column trouble text,                       -- why its last try at a task could not even be claimed or recorded
  add column away jsonb not null default '{}';   -- runs whose tasks it leaves to others, with what is wrong with its own surroundings

-- pg_current_snapshot() of the epoch, as text: the same again means that nothing was committed in between. The next
-- transaction id alone would not see one that had begun before.
alter table rowfleet.epoch rename column next_xid to visible;

-- Each plan that a run worked by; the run's own columns hold the newest one.
create table rowfleet.plan_revision (
  run_id bigint not null references rowfleet.run on delete cascade,
  revision int not null,
  plan jsonb not null,
  plan_hash text not null,
  actor text not null,
  summary text not null,              -- what it changed, in words
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (run_id, revision)
);

alter table rowfleet.flow add column cancelled boolean not null default false;

alter table rowfleet.task drop constraint task_kind_check;
alter table rowfleet.task
  add constraint task_kind_check check (kind in ('batch', 'build', 'check', 'mend')), -- mend: quarantined rows, sent again
  add column mode text not null default 'copy'           -- how a batch's next attempt puts its rows in
    check (mode in ('copy', 'corner', 'reload')),
  add column rows_quarantined bigint not null default 0, -- of rows_out; rows_out = rows_in + rows_quarantined
  add column revision int;                               -- of the plan that it was done by

-- What holds a run or one of its flows back: claims are refused, and status says why and since when.
create table rowfleet.hold (
  run_id bigint not null references rowfleet.run on delete cascade,
  flow text not null default '',      -- '': the whole run
  kind text not null check (kind in ('pause', 'throttle', 'breaker')),
  cause text not null,                -- pause: who asked; throttle: the measure; breaker: the server, or 'failures'
  reason text not null,               -- in words, with the number behind it
  since timestamptz not null default clock_timestamp(),
  lets bigint,                        -- a task that may go on all the same: with it a breaker finds out whether it can close
  primary key (run_id, flow, kind, cause)
);

-- A driving row that the target, or its own expressions, refused.
create table rowfleet.quarantine (
  id bigint generated always as identity primary key,
  run_id bigint not null references rowfleet.run on delete cascade,
  task_id bigint not null references rowfleet.task on delete cascade,
  attempt int not null,
  revision int not null,              -- of the plan that it was refused under
  flow text not null,
  relation text not null,             -- display name of the target table
  leaf int not null,                  -- index into the flow's leaves
  tid text,                           -- where it stood; null where the leaf has no ctid
  outputs int not null,               -- target rows that it yields: none of them was loaded
  stage text not null check (stage in ('extract', 'transform', 'load', 'constraint')),
  code text not null,                 -- SQLSTATE
  constraint_name text,
  column_name text,
  message text not null,              -- without row values
  sealed_with text,                   -- id of the key that the three columns below are encrypted with; null: plain
  source_key bytea,                   -- JSON object: key column of the driving table → text; null: it has no key
  source_row bytea,                   -- JSON object: the driving row as the source had it
  target_rows bytea,                  -- JSON array of objects: as they would have been loaded; null: they cannot be computed
  state text not null default 'held' check (state in ('held', 'sent', 'loaded', 'discarded')),
  edited bytea,                       -- JSON array like target_rows: what a person made of it
  rows_in int,                        -- once loaded: target rows that came of it
  quarantined_at timestamptz not null default clock_timestamp(),
  settled_at timestamptz,
  settled_by text,
  history jsonb not null default '[]' -- what was done to it, without row values: [{at, by, did}]
);
create index quarantine_run on rowfleet.quarantine (run_id, flow, state);
create index quarantine_task on rowfleet.quarantine (task_id);

-- What attempts came to lately: breakers look at it again and again.
create index attempt_ended on rowfleet.attempt (run_id, ended_at) where outcome in ('done', 'failed');

-- How often what went wrong in a run.
create table rowfleet.error_pattern (
  run_id bigint not null references rowfleet.run on delete cascade,
  class text not null check (class in ('wait', 'shrink', 'row', 'give up')),
  code text not null,                 -- SQLSTATE or rowfleet's own code
  constraint_name text not null default '',
  relation text not null default '',  -- display name
  side text not null default '' check (side in ('', 'source', 'target')),
  message text not null,              -- the latest one, without row values
  count bigint not null default 1,
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  primary key (run_id, class, code, constraint_name, relation, side)
);
