import { afterAll, expect, test } from 'vitest';
import { startRun } from '../../src/control/start.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import { resolvePlan } from '../../src/plan/resolve.ts';
import type { Plan, PlanProblem, ResolvedPlan } from '../../src/plan/types.ts';
import { describeWith } from '../describe-with.ts';
import { openTarget, variableOf } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';
import { differences, exampleNames, fileOf, readComparisons, readExample, rowsOf } from './example.ts';

/** Examples whose plan uses what is not built yet. */
const notYet = new Set([
  'backfill',
  'embedding-backfill',
  'fusion',
  'hierarchy',
  'horizontal-partition',
  'keep-first',
  'keep-newest',
  'nest',
  'normalise',
  'surrogate-keys',
  'target-lookup',
  'totals-per-group',
  'typescript',
  'unnest',
  'versions',
  'vertical-partition',
]);

const databases: TestDatabase[] = [];
afterAll(() => Promise.all(databases.map((database) => database.drop())));

interface Site {
  source: TestDatabase;
  target: TestDatabase;
}

/** Two new databases as the example has them, or one where the plan fills its own source. */
async function createSite(example: string): Promise<Site> {
  const inPlace = readExample(example, 'plan.yaml').includes('\nsource: ${TARGET_DATABASE_URL}\n');
  const target = await createDatabase(18);
  const source = inPlace ? target : await createDatabase(15);
  databases.push(...new Set([source, target]));
  await source.exec(readExample(example, 'source.sql'));
  await target.exec(readExample(example, 'target.sql'));
  return { source, target };
}

/** The example's plan held against its databases, with batches so small that there are several of each flow. */
async function resolveExample(
  example: string,
  { source, target }: Site,
): Promise<{ resolved?: ResolvedPlan; problems: PlanProblem[] }> {
  const yaml = readExample(example, 'plan.yaml')
    .replaceAll('SOURCE_DATABASE_URL', variableOf(source))
    .replaceAll('TARGET_DATABASE_URL', variableOf(target));
  const { plan, problems } = parsePlan(yaml, fileOf(example, 'plan.yaml'));
  if (plan === undefined) return { problems };
  const inSmallBatches: Plan = { ...plan, settings: { ...plan.settings, batchSize: 100 } };
  return resolvePlan(inSmallBatches, await source.open(), await target.open());
}

const start = (ledger: Ledger, resolved: ResolvedPlan): Promise<string> =>
  startRun(ledger, { resolved, file: 'plan.yaml', kind: 'migrate', actor: 'test' });

/** Tables of the target that no comparison is about. */
async function withoutComparison(target: TestDatabase, names: string[]): Promise<string[]> {
  const { rows } = await target.query<{ name: string }>(
    `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace
       and relkind in ('r', 'p') and not relispartition and relname <> all ($1)`,
    [names],
  );
  return rows.map(({ name }) => name);
}

/** Runs an example and compares what it made with what its hand-written SQL says. */
async function runExample(example: string): Promise<void> {
  const site = await createSite(example);
  const comparisons = readComparisons(example);
  const expected = await Promise.all(comparisons.map((each) => rowsOf(site.source, each.expected)));
  expect(expected.map((rows) => rows.size > 0)).toEqual(comparisons.map(() => true));
  const { resolved, problems } = await resolveExample(example, site);
  if (notYet.has(example)) {
    expect(resolved, `${example} can be run now: take it out of notYet`).toBeUndefined();
    return;
  }
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([]);

  const target = await openTarget(site.target);
  try {
    target.startFleet();
    await target.ended(await start(target.ledger, resolved!));
    const actual = await Promise.all(comparisons.map((each) => rowsOf(site.target, each.actual)));
    expect(comparisons.flatMap(({ name }, i) => differences(name, expected[i]!, actual[i]!))).toEqual([]);
    await target.expectCatalogAsBefore();
  } finally {
    await target.close();
  }
}

test.concurrent.each(exampleNames.filter((name) => name !== 'embeddings-to-vector'))('%s', runExample);
