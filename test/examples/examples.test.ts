import { delimiter, dirname } from 'node:path';
import { afterAll, expect, inject, test } from 'vitest';
import { startRun } from '../../src/control/start.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { explainPlan } from '../../src/plan/explain.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { PlanProblem } from '../../src/plan/problems.ts';
import { parsePlan } from '../../src/plan/read/parse.ts';
import { resolvePlan } from '../../src/plan/resolve/resolve.ts';
import type { ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import { openTarget, variableOf } from '../in-process-fleet.ts';
import { connect, createDatabase, type TestDatabase } from '../postgres.ts';
import { differences, exampleNames, fileOf, readComparisons, readExample, rowsOf } from './example.ts';
import { type Way, wayOf } from './way.ts';

/** Flows whose rows cannot pass through as bytes, by example. */
const otherWays: Record<string, Record<string, Way>> = {
  backfill: { articles: 'updated' },
  'horizontal-partition': {
    'events.page_views': 'handed out',
    'events.payments': 'handed out',
    'events.unknown_events': 'handed out',
  },
  'surrogate-keys': {
    'id map customer': 'staged',
    'id map invoice': 'staged',
    customers: 'staged',
    invoices: 'staged',
    'invoice lines': 'staged',
  },
  'embedding-backfill': { chunks: 'transformed' },
  'target-lookup': { customers: 'staged' },
  typescript: { recipients: 'transformed' },
  'vertical-partition': {
    'customers.addresses': 'handed out',
    'customers.customers': 'handed out',
    'customers.preferences': 'handed out',
  },
};

process.env.ROWFLEET_PLANS = exampleNames.map((name) => dirname(fileOf(name, 'plan.yaml'))).join(delimiter);

const createVector = 'create extension if not exists vector;';

const { superuserUrl } = inject('servers')[18];
const server = connect(18, 'postgres', superuserUrl, superuserUrl);
const { rows: vectors } = await server.query(`select from pg_available_extensions where name = 'vector'`);
await server.close();
const hasVector = vectors.length > 0;

/** A type of that name that takes any text, for servers without pgvector: they at least see how its rows come in. */
const vectorStandIn = `
  create type vector;
  create function vector_in(cstring) returns vector language internal immutable strict as 'textin';
  create function vector_out(vector) returns cstring language internal immutable strict as 'textout';
  create type vector
    (input = vector_in, output = vector_out, typmod_in = varchartypmodin, typmod_out = varchartypmodout)`;

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
  const ddl = readExample(example, 'target.sql');
  const standIn = ddl.includes(createVector) && !hasVector;
  if (standIn) await target.execAsSuperuser(vectorStandIn);
  await target.exec(standIn ? ddl.replace(createVector, '') : ddl);
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

const start = (ledger: Ledger, resolved: ResolvedPlan, example: string): Promise<string> =>
  startRun(ledger, { resolved, file: fileOf(example, 'plan.yaml'), kind: 'migrate', actor: 'test' });

/** Runs an example and compares what it made with what its hand-written SQL says. */
async function runExample(example: string): Promise<void> {
  const site = await createSite(example);
  const comparisons = readComparisons(example);
  const expected = await Promise.all(comparisons.map((each) => rowsOf(site.source, each.expected)));
  expect(expected.map((rows) => rows.size > 0)).toEqual(comparisons.map(() => true));
  const { resolved, problems } = await resolveExample(example, site);
  // One batch is enough for so few rows; everything else that a plan is warned about would be copied with it.
  const unwanted = problems.filter(({ message }) => !message.startsWith('it is copied in one batch'));
  expect(unwanted).toEqual([]);
  const compared = comparisons.map(({ name }) => name);
  expect(resolved!.targets.filter(({ name }) => !compared.includes(name))).toEqual([]);

  const explained = await explainPlan(resolved!, await site.source.open(), await site.target.open());
  expect(explained.map(({ name }) => name)).toEqual(resolved!.flows.map(({ name }) => name));

  const ways = resolved!.flows.map((flow): [string, Way] => [flow.name, wayOf(flow)]);
  expect(Object.fromEntries(ways.filter(([, way]) => way !== 'passed through'))).toEqual(
    otherWays[example] ?? {},
  );

  const target = await openTarget(site.target);
  try {
    target.startFleet();
    await target.ended(await start(target.ledger, resolved!, example));
    const actual = await Promise.all(comparisons.map((each) => rowsOf(site.target, each.actual)));
    expect(comparisons.flatMap(({ name }, i) => differences(name, expected[i]!, actual[i]!))).toEqual([]);
    await target.expectCatalogAsBefore();
  } finally {
    await target.close();
  }
}

const titleOf = (name: string): string =>
  name === 'embeddings-to-vector' && !hasVector ? `${name}, with a stand-in for the type of pgvector` : name;

test.concurrent.each(exampleNames.map((name) => [titleOf(name), name] as const))('%s', (_title, name) =>
  runExample(name),
);
