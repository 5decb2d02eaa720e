import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Session } from '../../src/pg/session.ts';
import { hashField, hashOf, mixed } from '../../src/validate/row-hash.ts';
import { methodOf } from '../hand-made-plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';
import { zooTypes as types, typeZoo as zoo } from '../type-zoo.ts';

const databases: TestDatabase[] = [];
let sessions: Session[];

beforeAll(async () => {
  databases.push(...(await Promise.all([createDatabase(14), createDatabase(15), createDatabase(18)])));
  await Promise.all(
    databases.map((database, i) => database.exec(types(i === 1 ? "'ok', 'sad'" : "'sad', 'ok'"))),
  );
  sessions = await Promise.all(databases.map((database) => database.open()));
});
afterAll(() => Promise.all(databases.map((database) => database.drop())));

async function hashes(session: Session, type: string, transcode = false): Promise<(string | null)[]> {
  const hash = mixed(
    hashOf([hashField({ name: 'v', targetType: type, method: methodOf(type) }, 'v', transcode)]),
  );
  const { rows } = await session.query<{ hash: string }>(
    `select ${hash}::text as hash from (select t::${type} as v from unnest($1::text[]) with ordinality as u (t, i)
       order by i offset 0) as values`,
    [[...zoo[type]!, null]],
  );
  return rows.map((row) => row.hash);
}

describe.each(Object.keys(zoo))('the hash of %s', (type) => {
  test('differs for every two values, and is the same on every server version', async () => {
    const [on14, on15, on18] = await Promise.all(sessions.map((session) => hashes(session, type)));
    expect(new Set(on18).size).toBe(zoo[type]!.length + 1);
    expect(on14).toEqual(on18);
    expect(on15).toEqual(on18);
    expect(new Set(await hashes(sessions[2]!, type, true)).size).toBe(zoo[type]!.length + 1);
  });
});

test('NaN has one hash, whatever its bits are', async () => {
  const column = { name: 'v', targetType: 'double precision', method: 'native' as const };
  const { rows } = await sessions[2]!.query(
    `select count(distinct ${hashOf([hashField(column, 'v', false)])})::int as n
     from (values ('NaN'::float8), ('-NaN'::float8), ('Infinity'::float8 - 'Infinity'::float8)) as nans (v)`,
  );
  expect(rows).toEqual([{ n: 1 }]);
});

test('the order of the keys of a jsonb and the time zone of a moment do not count', async () => {
  const equal = async (type: string, a: string, b: string) => {
    const field = (value: string) =>
      hashOf([
        hashField({ name: 'v', targetType: type, method: methodOf(type) }, `'${value}'::${type}`, false),
      ]);
    const { rows } = await sessions[2]!.query(`select ${field(a)} = ${field(b)} as equal`);
    return rows[0].equal;
  };
  expect(await equal('jsonb', '{"a": 1, "b": 2}', '{"b":2,"a":1}')).toBe(true);
  expect(await equal('timestamp with time zone', '2000-01-01 12:00+00', '2000-01-01 14:00+02')).toBe(true);
});
