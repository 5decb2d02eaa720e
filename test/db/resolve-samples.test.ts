import { afterAll, expect, test } from 'vitest';
import { describeWith } from '../describe-with.ts';
import { brief, resolveBody } from '../plan.ts';
import type { TestDatabase } from '../postgres.ts';
import { createEmptySample } from '../sample.ts';

describeWith('samples', 'tables: "*" of a sample database', () => {
  const databases: TestDatabase[] = [];
  afterAll(() => Promise.all(databases.map((database) => database.drop())));

  test.each([
    ['pagila', 15],
    ['chinook', 11],
  ] as const)('%s is %i tables that nothing speaks against', async (sample, tables) => {
    const [source, target] = await Promise.all([
      createEmptySample(15, sample),
      createEmptySample(18, sample),
    ]);
    databases.push(source!, target!);
    const { resolved, problems } = await resolveBody(source!, target!, 'tables: "*"');
    expect(problems.map(brief)).toEqual([]);
    expect(resolved?.flows).toHaveLength(tables);
    expect(
      resolved?.flows.every(({ columns }) => columns.every(({ sourceColumn }) => sourceColumn !== undefined)),
    ).toBe(true);
  });
});
