import { afterAll, beforeAll, expect, test } from 'vitest';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession } from '../../src/pg/session.ts';
import { runCheck } from '../../src/validate/run-check.ts';
import { handMadePlan } from '../hand-made-plan.ts';
import { createDatabase, onServer, type TestDatabase } from '../postgres.ts';

const latin = 'validate_latin1';
let target: TestDatabase;

beforeAll(async () => {
  target = await createDatabase(18, { owner: 'superuser' });
  await onServer(18, `drop database if exists ${latin} with (force)`);
  await onServer(
    18,
    `create database ${latin} template template0 encoding 'LATIN1' locale 'C' locale_provider libc`,
  );
});
afterAll(async () => {
  await onServer(18, `drop database if exists ${latin} with (force)`);
  await target?.drop();
});

test('texts of databases with different encodings are compared as the characters they are', async () => {
  const url = new URL(target.url);
  url.pathname = `/${latin}`;
  const source = await openSession(endpointFromUrl(url.href), 'rowfleet test');
  const session = await target.open();
  try {
    const ddl = 'create table public.word (id int, w text, v varchar(9), c char(5), j json)';
    const values = `insert into public.word values (1, 'Grün', 'É', 'ß', '{"ä": 1}'), (2, '', null, 'a', '[]')`;
    for (const side of [source, session]) {
      await side.query(ddl);
      await side.query(values);
    }
    const columns = {
      id: ['w.id', 'integer'],
      w: 'w.w',
      v: ['w.v', 'character varying(9)'],
      c: ['w.c', 'character(5)'],
      j: ['w.j', 'json'],
    } as Parameters<typeof handMadePlan>[0][number]['columns'];
    const plan = handMadePlan([{ from: 'word w', to: 'word', columns }], { word: ['id'] });
    plan.source.encoding = 'LATIN1';
    const context = { source, target: session, plan, before: {} };
    const spec = { check: 'digest', relation: { schema: 'public', name: 'word' } } as const;
    expect((await runCheck(context, spec)).findings).toEqual([]);

    await session.query("update public.word set w = 'GrÃ¼n' where id = 1"); // UTF-8 bytes read as LATIN1
    expect((await runCheck(context, spec)).findings[0]!.details).toEqual([
      { key: { id: '1' }, column: 'w', problem: 'different', expected: 'Grün', found: 'GrÃ¼n' },
    ]);
  } finally {
    await source.end();
  }
});
