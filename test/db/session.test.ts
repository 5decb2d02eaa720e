import { expect, test } from 'vitest';
import { openSession } from '../../src/pg/session.ts';
import { createDatabase } from '../postgres.ts';

test.each([
  ['off', 'local'],
  ['remote_apply', 'remote_apply'],
])('a server whose commits wait as in %s commits for us as in %s', async (its, ours) => {
  const database = await createDatabase(18);
  await database.execAsSuperuser(`alter database "${database.name}" set synchronous_commit = ${its}`);
  const session = await openSession(database.endpoint, 'test');
  const { rows } = await session.query('show synchronous_commit');
  expect(rows).toEqual([{ synchronous_commit: ours }]);
  await session.end();
  await database.drop();
});
