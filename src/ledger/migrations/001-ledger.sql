-- The ledger: the only memory of rowfleet. Applied in one transaction, in the target database.

-- Tells this ledger from every other: a shared Redis keeps their queues apart by it.
create table rowfleet.identity (id uuid not null default gen_random_uuid());
insert into rowfleet.identity default values;

create table rowfleet.run (
  id bigint generated always as identity primary key,
  name text not null,
  kind text not null check (kind in ('migrate', 'validate')),
  plan jsonb not null,                -- the resolved plan; no passwords
  plan_hash text not null,            -- sha-256 of the resolved plan's canonical JSON
  plan_file text not null,
  state text not null default 'running'
    check (state in ('running', 'stopped', 'cancelling', 'failed', 'cancelled', 'findings', 'verified')),
  phase text not null default 'preflight'
    check (phase in ('preflight', 'prepare', 'copy', 'index', 'verify', 'constrain', 'finish')),
  waiting text,                       -- what the run waits for and why, with the number behind it
  error jsonb,                        -- {code, message, hint} of what ended it
  mended boolean not null default false, -- it went on after findings: people may have changed what the loaders wrote
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);

-- One row a source snapshot: every batch belongs to one epoch.
create table rowfleet.epoch (
  run_id bigint not null references rowfleet.run on delete cascade,
  epoch int not null,
  snapshot text not null,             -- what pg_export_snapshot() returned
  next_xid text not null,             -- pg_snapshot_xmax of the snapshot: unchanged means nothing was written since
  relations jsonb not null,           -- per relation that is read, what would show a rewrite or a write: see epochs.ts
  opened_at timestamptz not null default clock_timestamp(),
  closed_at timestamptz,
  primary key (run_id, epoch)
);

create table rowfleet.flow (
  run_id bigint not null references rowfleet.run on delete cascade,
  name text not null,
  ordinal int not null,
  target text not null,               -- display name of the target table
  target_rows_before bigint not null default 0,
  estimated_rows bigint not null default 0,
  estimated_bytes bigint not null default 0,
  cut jsonb not null default '{}',    -- where cutting stands: see src/copy/cut.ts
  cut_done boolean not null default false,
  primary key (run_id, name)
);

-- What a worker claims: one batch, one build or one check.
create table rowfleet.task (
  id bigint generated always as identity primary key,
  run_id bigint not null references rowfleet.run on delete cascade,
  kind text not null check (kind in ('batch', 'build', 'check')),
  flow text,                          -- batches only
  relation text not null,             -- display name of the table it is about
  spec jsonb not null,                -- batch: src/copy; build: {object: id}; check: src/validate CheckSpec
  state text not null default 'waiting' check (state in ('waiting', 'running', 'done', 'failed', 'cancelled')),
  attempt int not null default 0,
  failures int not null default 0,    -- attempts that ended in an error; a lost or handed-back one is none
  not_before timestamptz,             -- back-off: when the next attempt may start
  rows_out bigint,                    -- rows the source yielded
  rows_in bigint,                     -- rows the target took
  bytes bigint,
  seconds double precision,
  epoch int,
  evidence jsonb,                     -- checks: the numbers behind the result
  error jsonb,                        -- {code, message, hint} of the last failure
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);
create index task_open on rowfleet.task (run_id, kind) where state in ('waiting', 'running', 'failed');
create index task_flow on rowfleet.task (run_id, flow, id) where kind = 'batch';

-- One try at a task by one worker, committed before the work starts.
create table rowfleet.attempt (
  task_id bigint not null references rowfleet.task on delete cascade,
  number int not null,
  run_id bigint not null,
  worker text not null,
  backend_pid int not null,
  backend_start timestamptz not null,
  lease_until timestamptz not null,
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  outcome text check (outcome in ('done', 'failed', 'handed back', 'lost')),
  bytes bigint not null default 0,    -- so far; renewed with the lease
  error jsonb,
  primary key (task_id, number)
);
create index attempt_open on rowfleet.attempt (run_id) where ended_at is null;

-- Undo: what was taken down (or is to be done later) and what brings it back.
create table rowfleet.object (
  id bigint generated always as identity primary key,
  run_id bigint not null references rowfleet.run on delete cascade,
  kind text not null,
  relation text not null,
  name text not null,
  phase text not null check (phase in ('index', 'constrain', 'finish')),
  ordinal int not null,
  captured jsonb not null,            -- src/constraints CapturedObject
  state text not null default 'captured' check (state in ('captured', 'down', 'back'))
);
create index object_run on rowfleet.object (run_id);

create table rowfleet.finding (
  id bigint generated always as identity primary key,
  run_id bigint not null references rowfleet.run on delete cascade,
  task_id bigint references rowfleet.task on delete cascade,
  check_name text not null,
  relation text not null,
  summary text not null,
  details jsonb not null default '[]',
  found_at timestamptz not null default clock_timestamp()
);
create index finding_run on rowfleet.finding (run_id);

-- A process of the fleet. `seen_at` is renewed every second.
create table rowfleet.worker (
  id text primary key,
  kind text not null check (kind in ('scheduler', 'loader', 'validator')),
  host text not null,
  pid int not null,
  concurrency int not null default 1,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  stopped_at timestamptz,
  metrics jsonb not null default '{}'
);

-- What people and processes did to a run, in words.
create table rowfleet.event (
  id bigint generated always as identity primary key,
  run_id bigint references rowfleet.run on delete cascade,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  message text not null
);
create index event_run on rowfleet.event (run_id, id);
