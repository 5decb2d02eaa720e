import { afterAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const databases: TestDatabase[] = [];
afterAll(() => Promise.all(databases.map((database) => database.drop())));

describe.each([14, 15, 18] as const)('the test server %i', (version) => {
  test('gives a database whose owner is no superuser, and clones it', async () => {
    const first = await createDatabase(version);
    databases.push(first);
    await first.exec('create table t (id int primary key); insert into t values (1), (2)');
    const { rows } = await first.query<{ major: number; superuser: string; owner: string }>(
      `select current_setting('server_version_num')::int / 10000 major, current_setting('is_superuser') superuser,
         pg_get_userbyid(relowner) owner from pg_class where relname = 't'`,
    );
    expect(rows).toEqual([{ major: version, superuser: 'off', owner: 'app' }]);
    await first.close();

    const clone = await createDatabase(version, { template: first.name });
    databases.push(clone);
    const session = await clone.open();
    const { rows: copied } = await session.query('select count(*)::int n from public.t');
    expect(copied).toEqual([{ n: 2 }]);
    await clone.execAsSuperuser('create extension pg_trgm');
  });
});
