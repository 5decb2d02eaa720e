import { afterAll, beforeAll, expect, test } from 'vitest';
import { listIdMaps, lookUp } from '../../src/control/id-maps.ts';
import { uninstall } from '../../src/control/uninstall.ts';
import { createIdMaps } from '../../src/ledger/id-maps.ts';
import { type Ledger, ledgerExists } from '../../src/ledger/ledger.ts';
import type { IdMap } from '../../src/plan/id-maps.ts';
import { createLedger } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let database: TestDatabase;
let ledger: Ledger;

const map: IdMap = {
  name: 'invoice',
  source: 'a',
  relation: 'public.invoices',
  oldTypes: ['integer', 'text'],
  new: 'sequence',
};

beforeAll(async () => {
  database = await createDatabase(18);
  ledger = await createLedger(database);
  await createIdMaps(await database.open(), [map]);
  await database.exec(`insert into rowfleet.id_map_invoice values (2023, 'a'), (2024, 'it''s')`);
});

afterAll(async () => {
  await ledger.close();
  await database.drop();
});

test('old keys are looked up, and one that is no key of the map is told as such', async () => {
  expect(await listIdMaps(ledger)).toMatchObject([{ ...map, rows: 2 }]);
  const keys = [
    ['2024', "it's"],
    ['2023', 'b'],
    ['2023', 'a'],
  ];
  expect(await lookUp(ledger, 'invoice', keys)).toEqual(['2', null, '1']);
  await expect(lookUp(ledger, 'invoise', keys)).rejects.toMatchObject({
    code: 'ID_MAP_UNKNOWN',
    hint: 'did you mean invoice?',
  });
  const wrong = { code: 'ID_MAP_KEY', hint: 'its keys are integer, text' };
  await expect(lookUp(ledger, 'invoice', [['x', 'a']])).rejects.toMatchObject(wrong);
  await expect(lookUp(ledger, 'invoice', [['1']])).rejects.toMatchObject(wrong);
});

test('a map goes on with the keys it has, and is not taken for another one', async () => {
  const session = await database.open();
  await createIdMaps(session, [map]);
  expect((await listIdMaps(ledger))[0]!.rows).toBe(2);
  for (const other of [{ source: 'b' }, { relation: 'public.bills' }, { oldTypes: ['bigint', 'text'] }])
    await expect(createIdMaps(session, [{ ...map, ...other }])).rejects.toMatchObject({
      code: 'ID_MAP_TAKEN',
    });
});

test('removing the ledger asks what becomes of id maps, and moves them where that is said', async () => {
  const remove = (after?: Parameters<typeof uninstall>[2]) => uninstall(ledger, async () => {}, after);
  await expect(remove()).rejects.toMatchObject({
    code: 'ID_MAPS_KEPT',
    message: expect.stringContaining('invoice (2 keys)'),
  });
  // They would go with it.
  for (const after of [{ schema: 'rowfleet' }, { schema: 'kept', drop: true }])
    await expect(remove(after)).rejects.toMatchObject({ kind: 'usage' });
  expect(await ledgerExists(ledger.pool)).toBe(true);
  expect(await remove({ schema: 'Old keys' })).toBe(true);
  expect(await ledgerExists(ledger.pool)).toBe(false);
  const { rows } = await database.query('select * from "Old keys".id_map_invoice order by new_id');
  expect(rows).toEqual([
    { old_1: 2023, old_2: 'a', new_id: '1' },
    { old_1: 2024, old_2: "it's", new_id: '2' },
  ]);
});
