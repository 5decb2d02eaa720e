import { expect, test } from 'vitest';
import { sqlState } from '../../src/pg/errors.ts';
import { openSession } from '../../src/pg/session.ts';
import { inTransaction, underSavepoint } from '../../src/pg/transaction.ts';
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

test('a transaction in which a failed statement was passed over is not taken for committed', async () => {
  const database = await createDatabase(18);
  const session = await database.open();
  const pass = inTransaction(session, 'read committed', async () => {
    await session.query('create table public.kept ()');
    await session.query('select 1 / 0').catch(() => {});
  });
  await expect(pass).rejects.toThrow('all of it was rolled back');
  await expect(database.query('select from kept')).rejects.toThrow('does not exist');
  await database.drop();
});

test('what an inner savepoint does not expect undoes all that was done under the outer one', async () => {
  const database = await createDatabase(18);
  const session = await database.open();
  const of = (code: string) => (error: unknown) => sqlState(error) === code;
  const outcome = await inTransaction(session, 'read committed', async () => {
    await session.query('create table public.before ()');
    return underSavepoint(session, of('22012'), async () => {
      await session.query('create table public.outer ()');
      await underSavepoint(session, of('42P01'), () => session.query('select 1 / 0'));
    });
  });
  expect(outcome).toMatchObject({ kind: 'undone', error: { code: '22012' } });
  const { rows } = await database.query(
    "select relname from pg_class where relnamespace = 'public'::regnamespace",
  );
  expect(rows).toEqual([{ relname: 'before' }]);
  await database.drop();
});
