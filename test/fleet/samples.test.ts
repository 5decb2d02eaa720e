import { afterEach, beforeAll, expect, test } from 'vitest';
import type { ServerVersion } from '../../ops/embedded/server.ts';
import { describeWith } from '../describe-with.ts';
import { generatedBody } from '../generated-plan.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import type { TestDatabase } from '../postgres.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { createEmptySample, createSample, type SampleName } from '../sample.ts';

let databases: TestDatabase[] = [];
let target: Target | undefined;

afterEach(async () => {
  await target?.close();
  await Promise.all(databases.map((database) => database.drop()));
  databases = [];
  target = undefined;
});

/** Migrates a sample by the plan that generate-config writes, in batches small enough for several a table, and compares. */
async function migrateSample(
  sample: SampleName,
  from: ServerVersion,
  to: ServerVersion,
  queueUrl?: string,
): Promise<void> {
  const [source, into] = await Promise.all([createSample(from, sample), createEmptySample(to, sample)]);
  databases = [source!, into!];
  target = await openTarget(into!, queueUrl);
  target.startFleet();
  const plan = await generatedBody(source!, to === 14 ? undefined : into!);
  const runId = await target.start(source!, `migration: {batch_size: 2000}\n${plan}`);
  await target.ended(runId);
  await target.expectWhole(source!);
  const { rows } = await target.ledger.pool.query(
    `select count(*) filter (where kind = 'batch')::int as batches, count(*) filter (where kind = 'check')::int as checks,
            count(distinct flow)::int as flows from rowfleet.task where run_id = $1 and state = 'done'`,
    [runId],
  );
  expect(rows[0].batches).toBeGreaterThan(rows[0].flows);
  expect(rows[0].checks).toBeGreaterThanOrEqual(2 * rows[0].flows);
}

describeWith('samples', 'every table of a sample database', () => {
  test.each([
    ['pagila', 14, 18],
    ['pagila', 18, 15],
    ['chinook', 15, 14],
  ] as const)('%s from %i to %i', migrateSample);
});

describeWith('redis', 'with the queue in Redis', () => {
  describeWith('samples', 'every table of a sample database', () => {
    let redis: RedisServer;
    beforeAll(async () => {
      redis = await startRedis();
      return () => redis.stop();
    });

    test('chinook from 15 to 18', () => migrateSample('chinook', 15, 18, redis.url));
  });
});
