import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CatalogSnapshot, catalogSnapshot, diffSnapshots } from '../../src/catalog/snapshot.ts';
import { bringBack, takeDown } from '../../src/constraints/apply.ts';
import { type Capture, capture } from '../../src/constraints/capture.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';
import { createTablespace, dropTablespace, zooSchema, zooTables } from './constraints-zoo.ts';

const phases = ['index', 'constrain', 'finish'];

describe.each([14, 15, 18] as const)('PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let session: pg.Client;
  let before: CatalogSnapshot;
  let captured: Capture;

  beforeAll(async () => {
    database = await createDatabase(version);
    const tablespace = await createTablespace(database, { grant: true });
    await database.exec(zooSchema(version, tablespace));
    session = await database.open();
    before = await catalogSnapshot(session);
    captured = await capture(session, await zooTables(database));
  });

  afterAll(async () => {
    await database.drop();
    await dropTablespace(database);
  });

  test('everything that comes down comes back as it was', async () => {
    for (const object of captured.objects) await takeDown(session, object);
    const down = diffSnapshots(before, await catalogSnapshot(session));
    for (const object of captured.objects) {
      const trace = down.filter((line) => line.includes(object.name.replaceAll('"', '""')));
      expect(trace, `${object.kind} ${object.name}`).not.toEqual([]);
    }
    await database.exec(`
      insert into zoo.animal (tag, name, chip, range) select 't' || i, 'n', i, int4range(2 * i, 2 * i) from generate_series(1, 50) i;
      insert into zoo.visit select date '2019-12-01' + i, i, i, 'n' from generate_series(1, 50) i;
      insert into zoo.stay select i, date '2019-12-01' + i, i from generate_series(1, 50) i;`);
    const ordered = captured.objects.toSorted(
      (a, b) => phases.indexOf(a.phase) - phases.indexOf(b.phase) || a.order - b.order,
    );
    for (const object of ordered) await bringBack(session, object);
    expect(diffSnapshots(before, await catalogSnapshot(session))).toEqual([]);
  });

  test('what is needed meanwhile stays up, with the reason', () => {
    const kept = captured.kept.map(({ relation, name, reason }) => `${relation.name} ${name}: ${reason}`);
    const halved = 'zoo.halved(integer) may need a search_path, and index builds have none';
    expect(kept.toSorted()).toEqual([
      ...(version >= 17 ? [`animal animal_half: ${halved}`] : []),
      'filled filled_pkey: the table is not empty',
      'grouped grouped_pkey: needed by rule _RETURN on view zoo."grouping"',
      'published published_pkey: a publication finds rows by it',
      'ruled ruled_pkey: a rule with ON CONFLICT needs it',
      'ruled ruled_v_key: a rule with ON CONFLICT needs it',
      'twice twice_again: a foreign key could choose another index when it comes back',
      'twice twice_pkey: a foreign key could choose another index when it comes back',
    ]);
  });
});
