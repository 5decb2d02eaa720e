import { afterAll, expect, test } from 'vitest';
import { compareDatabases } from '../compare.ts';
import { describeWith } from '../describe-with.ts';
import type { TestDatabase } from '../postgres.ts';
import { createEmptySample, createSample } from '../sample.ts';

describeWith('samples', 'the sample databases', () => {
  const databases: TestDatabase[] = [];
  afterAll(() => Promise.all(databases.map((database) => database.drop())));
  const keep = (made: TestDatabase) => {
    databases.push(made);
    return made;
  };

  test.each([
    ['pagila', 46_273],
    ['chinook', 15_607],
  ] as const)(
    '%s has all its rows on 14, 15 and 18, and compares equal between them',
    async (sample, expected) => {
      const [v14, v15, v18] = await Promise.all([
        createSample(14, sample),
        createSample(15, sample),
        createSample(18, sample),
      ]);
      databases.push(v14!, v15!, v18!);
      const { rows } = await v18!.query<{ n: number }>(
        `select sum((xpath('//c/text()', query_to_xml('select count(*) c from ' || oid::regclass, true, true, '')))[1]::text::int)::int n
       from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
      );
      expect(rows[0]!.n).toBe(expected);
      expect(await compareDatabases(v14!, v18!)).toEqual([]);
      expect(await compareDatabases(v18!, v15!)).toEqual([]);
    },
  );

  test('a changed, a doubled, a lost row and a lost table are differences', async () => {
    const source = keep(await createSample(15, 'chinook'));
    const target = keep(await createSample(18, 'chinook'));
    await target.exec(`update public.artist set name = name || ' ' where artist_id = 7`);
    await target.exec(`alter table public.playlist_track drop constraint playlist_track_pkey;
      insert into public.playlist_track select * from public.playlist_track where playlist_id = 18;
      delete from public.playlist_track where playlist_id = 16 and track_id = (select min(track_id) from public.playlist_track where playlist_id = 16)`);
    await target.exec('drop table public.invoice_line');
    const differences = await compareDatabases(source, target);
    expect(differences.map((line) => line.replace(/: .*/, ''))).toEqual([
      ...Array(3).fill('public.artist'),
      'public.invoice_line',
      ...Array(3).fill('public.playlist_track'),
    ]);
  });

  test('an empty sample has the tables and no rows', async () => {
    const [empty, full] = [
      keep(await createEmptySample(18, 'chinook')),
      keep(await createSample(15, 'chinook')),
    ];
    const differences = await compareDatabases(full, empty);
    expect(differences).toContain('public.genre: 25 different rows only in the source, 0 only in the target');
  });
});
