import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pins } from '../../src/pg/session.ts';
import { applySchema, schemaIsMissing, tryApplySchema } from '../../src/plan/apply-schema.ts';
import { goodPlan } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let target: TestDatabase;
let session: pg.Client;
const folder = mkdtempSync(join(tmpdir(), 'rowfleet-schema-'));

const planWith = (...files: string[]) => {
  const names = files.map((text, i) => {
    writeFileSync(join(folder, `${i}.sql`), text);
    return `${i}.sql`;
  });
  return goodPlan(`schema: [${names.join(', ')}]\ntables: [one]`, join(folder, 'plan.yaml'));
};

const apply = async (...files: string[]) => applySchema(session, planWith(...files));
const tables = async () =>
  (
    await session.query(
      "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
    )
  ).rows.map(({ relname }) => relname);

beforeAll(async () => {
  target = await createDatabase(18);
  session = await target.open();
});

beforeEach(async () => {
  await session.query('rollback');
  await session.query('begin');
});

afterAll(async () => {
  await target.drop();
  rmSync(folder, { recursive: true });
});

test('files run in order, against the role’s own search_path, and leave the session pinned', async () => {
  const dump = `\\restrict abC1\nSET statement_timeout = '7s'; SET row_security = on; set timezone = 'Asia/Tokyo';
    SELECT pg_catalog.set_config('search_path', '', false);
    create table public.two (n int);
    create function public.f() returns int language sql begin atomic select case when true then 1 else 2 end; end;
    do $$ begin perform 1; end $$; -- commit;`;
  await apply('create table one (id int); set role none;', dump);
  expect(await tables()).toEqual(['one', 'two']);
  for (const [name, value] of Object.entries(pins)) {
    const { rows } = await session.query('select current_setting($1) as value', [name]);
    expect(`${name}=${rows[0].value.replaceAll('"', '')}`).toBe(`${name}=${value}`);
  }
  await session.query('rollback');
  await session.query('begin');
  expect(await tables()).toEqual([]);
});

test('is missing while a table of the plan does not exist', async () => {
  const plan = planWith('create table one ()');
  expect(await schemaIsMissing(plan, session)).toBe(true);
  const star = { ...plan, tables: '*' as const };
  expect(await schemaIsMissing(star, session)).toBe(true);
  await applySchema(session, plan);
  expect(await schemaIsMissing(plan, session)).toBe(false);
  expect(await schemaIsMissing(star, session)).toBe(false);
  expect(await schemaIsMissing({ ...plan, schema: [], tables: ['none'] }, session)).toBe(false);
});

describe('errors name file and line', () => {
  const cases: [what: string, sql: string, line: number, message: RegExp][] = [
    ['wrong SQL', "-- 'ü😀\ncreate table a ();\ncreat table b ();", 3, /syntax error at or near "creat"/],
    ['COMMIT', 'create table a ();\n/* ; */ commit;', 2, /transaction control \(COMMIT\)/],
    ['BEGIN', '\nbegin;\ncreate table a ();', 2, /transaction control \(BEGIN\)/],
    ['START TRANSACTION', 'start transaction', 1, /transaction control/],
    ['a psql command', 'create table a ();\n\\connect other', 2, /psql command/],
    ['COPY with data', 'create table a (n int);\ncopy a from stdin;\n1\n\\.\n', 2, /COPY … FROM stdin/],
    ['an open string', "select 1;\nselect 'a", 2, /a string is not closed/],
  ]; // biome-ignore format: one case a line

  test.each(cases)('%s', async (_, sql, line, message) => {
    const failure = await apply(sql).then(
      () => undefined,
      (error) => error,
    );
    expect(failure).toMatchObject({ code: 'SCHEMA_FILE', kind: 'usage', hint: expect.any(String) });
    expect(failure.message).toMatch(message);
    expect(failure.message).toContain(`0.sql:${line}: `);
  });
});

test('a lock that is not to be had ends the attempt', async () => {
  await target.exec('create table busy (id int)');
  const holder = await target.open();
  await holder.query('begin; lock table public.busy');
  await expect(apply('alter table busy add column n int')).rejects.toThrow(/lock timeout/);
  await holder.query('rollback');
  await target.exec('drop table busy');
}, 20_000);

test('what is there already is told apart, with nothing changed: the plan may name another table than they make', async () => {
  const plan = planWith('create table fresh (id int);\ncreate table there (id int)');
  await target.exec('create table there (id int)');
  const error = await tryApplySchema(session, plan);
  expect(error).toMatchObject({ fault: 'relation "there" already exists' });
  expect(await tables()).toEqual(['there']);
  await target.exec('drop table there');
  expect(await tryApplySchema(session, plan)).toBeUndefined();
  expect(await tables()).toEqual(['fresh', 'there']);
});
