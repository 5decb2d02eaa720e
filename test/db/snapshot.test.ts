import { expect, test } from 'vitest';
import { catalogSnapshot, diffSnapshots } from '../../src/catalog/snapshot.ts';
import { createDatabase } from '../postgres.ts';

const schema = `
  create table t (id int primary key, v int, w text, r int4range, constraint t_v unique (v) deferrable,
    constraint t_r exclude using gist (r with &&));
  alter table t add constraint t_check check (v > 0) not valid;
  create index t_w on t (lower(w), v) where v > 1;
  create table c (id int);
  alter table c add constraint c_fk foreign key (id) references t not valid;
  create table p (a int) partition by list (a);
  create table p1 partition of p for values in (1);
  create index p_a on only p (a);
  create index p1_a on p1 (a);
  create function f() returns trigger language plpgsql as 'begin return new; end';
  create trigger tr before insert on t for each row execute function f();
  create statistics s on id, v from t;
  create sequence q;
  create view vw as select id from t;
  create materialized view mv as select id from t;
  create publication pub for table c;
  create rule ru as on insert to c do also nothing;
  create policy po on c using (id > 0);`;

/** A change of a schema, and the part of the difference that it must make. */
const changes: [sql: string, line: string][] = [
  [
    'alter index t_pkey set (fillfactor = 50)',
    'index public.t_pkey: storage options: null → ["fillfactor=50"]',
  ],
  ['alter table t set (fillfactor = 50)', 'relation public.t: storage options'],
  ['alter table t cluster on t_v', 'index public.t_v: clustered: false → true'],
  [
    'alter table t replica identity using index t_pkey',
    'index public.t_pkey: replica identity: false → true',
  ],
  ['alter table t replica identity full', 'relation public.t: replica identity: "i" → "f"'],
  ['alter index t_w alter column 1 set statistics 5', 'index public.t_w: column statistics: null → {"1":5}'],
  [`comment on index t_w is 'x'`, 'index public.t_w: comment: null → "x"'],
  [`comment on constraint t_v on t is 'x'`, 'constraint t_v on public.t: comment'],
  [`comment on trigger tr on t is 'x'`, 'trigger tr on public.t: comment'],
  [`comment on column t.v is 'x'`, 'column public.t.v: comment'],
  ['alter table t disable trigger tr', 'trigger tr on public.t: enabled: "O" → "D"'],
  ['alter table t enable always trigger tr', 'trigger tr on public.t: enabled: "D" → "A"'],
  ['alter table c validate constraint c_fk', 'constraint c_fk on public.c: validated: false → true'],
  [
    'alter table c alter constraint c_fk deferrable initially deferred',
    'constraint c_fk on public.c: deferred',
  ],
  ['alter table t validate constraint t_check', 'constraint t_check on public.t: validated'],
  ['alter index p_a attach partition p1_a', 'index public.p1_a: parent: null → "public.p_a"'],
  ['alter index p1_a rename to p1_b', 'new: index public.p1_b'],
  [
    'drop index t_w; create index t_w on t (lower(w) text_pattern_ops, v) where v > 1',
    'index public.t_w: definition',
  ],
  ['drop index t_w; create unique index t_w on t (lower(w), v) include (id)', 'index public.t_w: unique'],
  ['alter table t drop constraint t_r', 'gone: constraint t_r on public.t'],
  [
    'alter table t drop constraint t_v; alter table t add constraint t_v unique (v)',
    'index public.t_v: immediate',
  ],
  [
    'alter table t drop constraint t_v; alter table t add constraint t_v unique nulls not distinct (v)',
    'nulls not distinct',
  ],
  ['alter statistics s set statistics 9', 'statistics public.s: target: null → 9'],
  ['alter sequence q increment 2 owned by t.v', 'sequence public.q: owned by'],
  ['refresh materialized view mv with no data', 'relation public.mv: populated: true → false'],
  ['create or replace view vw as select id from t where v > 0', 'relation public.vw: definition'],
  ['alter publication pub add table t', 'new: publication pub of public.t'],
  ['alter table c disable rule ru', 'rule ru on public.c: enabled'],
  ['alter policy po on c using (id > 1)', 'policy po on public.c: using'],
  ['alter table t alter v set statistics 5', 'column public.t.v: statistics'],
  ['alter table t alter w set not null', 'column public.t.w: not null'],
  ['alter table t add x int generated always as identity', 'new: column public.t.x'],
];

test('every change of a schema shows in its snapshot, and nothing else', async () => {
  const database = await createDatabase(18);
  await database.exec(schema);
  const session = await database.open();
  let before = await catalogSnapshot(session);
  expect(diffSnapshots(before, await catalogSnapshot(session))).toEqual([]);
  expect(JSON.parse(JSON.stringify(before))).toEqual(before);
  for (const [sql, line] of changes) {
    await database.exec(sql);
    const after = await catalogSnapshot(session);
    expect(diffSnapshots(before, after).join('\n'), sql).toContain(line);
    before = after;
  }
  await database.drop();
});
