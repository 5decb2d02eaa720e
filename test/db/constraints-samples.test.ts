import { expect, test } from 'vitest';
import { catalogSnapshot, diffSnapshots } from '../../src/catalog/snapshot.ts';
import { bringBack, takeDown } from '../../src/constraints/apply.ts';
import { capture } from '../../src/constraints/capture.ts';
import { describeWith } from '../describe-with.ts';
import { createEmptySample, createSample } from '../sample.ts';
import { zooTables } from './constraints-zoo.ts';

const phases = ['index', 'constrain', 'finish'];

describeWith('samples', 'the sample databases come back as they were', () => {
  test.each([
    [14, 'pagila', createEmptySample],
    [18, 'pagila', createEmptySample],
    [15, 'pagila', createEmptySample],
    [18, 'chinook', createSample],
  ] as const)('PostgreSQL %i, %s', async (version, sample, create) => {
    const database = await create(version, sample);
    const session = await database.open();
    const before = await catalogSnapshot(session);
    const { objects, kept } = await capture(session, await zooTables(database));
    for (const object of objects) await takeDown(session, object);
    const { rows } = await database.query<{ kind: string }>(
      `select 'foreign key ' || conname as kind from pg_constraint where contype = 'f'
       union all select 'trigger ' || tgname from pg_trigger where not tgisinternal and tgenabled <> 'D'
       union all select 'index ' || indexrelid::regclass from pg_index join pg_class c on c.oid = indrelid
         where not indisunique and c.relkind <> 't' and c.relnamespace = 'public'::regnamespace`,
    );
    expect(rows).toEqual([]);
    if (create === createEmptySample) expect(kept).toEqual([]);
    objects.sort((a, b) => phases.indexOf(a.phase) - phases.indexOf(b.phase) || a.order - b.order);
    for (const object of objects) await bringBack(session, object);
    expect(diffSnapshots(before, await catalogSnapshot(session))).toEqual([]);
    await database.drop();
  });
});
