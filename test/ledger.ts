import { type Ledger, migrateLedger, openLedger } from '../src/ledger/ledger.ts';
import { insertRun } from '../src/ledger/runs.ts';
import type { ResolvedPlan } from '../src/plan/resolved-plan.ts';
import type { TestDatabase } from './postgres.ts';

/** A plan that says nothing: for tests of the ledger itself. */
export const emptyPlan: ResolvedPlan = {
  format: 1,
  name: 'test',
  source: { endpoint: {}, identity: '', version: 180000, encoding: 'UTF8', searchPath: ['public'] },
  target: { endpoint: {}, identity: '', version: 180000, encoding: 'UTF8', searchPath: ['public'] },
  settings: {
    batchSize: 1000,
    maxRetries: 3,
    batchTimeoutMs: 30_000,
    parallelWorkers: 1,
    validationLevel: 'standard',
    quarantineLimit: { rows: 1000, ratio: 0.01 },
  },
  flows: [],
  targets: [],
  allowNonEmpty: false,
};

/** Opens a fresh ledger in a test database. */
export async function createLedger(db: TestDatabase): Promise<Ledger> {
  const ledger = openLedger(db.endpoint, { max: 8 });
  await migrateLedger(ledger);
  return ledger;
}

/** Writes a run of `plan` (default: the empty one) in phase copy. */
export function createRun(ledger: Ledger, plan: ResolvedPlan = emptyPlan): Promise<string> {
  const file = 'plan.yaml';
  return insertRun(ledger.pool, { kind: 'migrate', plan, planHash: 'hash', planFile: file, phase: 'copy' });
}
