import { RowfleetError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import {
  countStates,
  type QuarantinedRow,
  type QuarantineFilter,
  type QuarantineReason,
  type QuarantineState,
  readLatestQuarantine,
  readQuarantined,
  readReasons,
} from '../ledger/read-quarantine.ts';
import { readRun } from '../ledger/runs.ts';
import { sealFrom } from '../ledger/seal.ts';

/** The quarantine of a run: why rows are in it, and the first of them, with row values: for the operator's terminal. */
export interface QuarantineView {
  runId: string;
  plan: string;
  states: Record<QuarantineState, number>;
  reasons: QuarantineReason[];
  rows: QuarantinedRow[];
  /** Rows that are in one of the states asked for. */
  matching: number;
}

/**
 * The run that a look is about: the one named, or the latest that set rows aside. Throws RUN_UNKNOWN and
 * QUARANTINE_EMPTY.
 */
export async function chooseQuarantine(ledger: Ledger, planName?: string, runId?: string): Promise<string> {
  if (runId !== undefined) return (await readRun(ledger.pool, runId)).id;
  const latest = await readLatestQuarantine(ledger.pool, planName);
  if (latest !== undefined) return latest;
  throw new RowfleetError('QUARANTINE_EMPTY', 'no run here has set rows aside', {
    kind: 'usage',
    hint: 'see `rowfleet status`',
  });
}

/** Reads the quarantine of a run; at most `limit` rows of it. Values are there where `env` has their key. */
export async function readQuarantine(
  ledger: Ledger,
  filter: QuarantineFilter & { runId: string; states: readonly QuarantineState[] },
  env: NodeJS.ProcessEnv,
  limit: number,
): Promise<QuarantineView> {
  const { id, name } = await readRun(ledger.pool, filter.runId);
  const { states: wanted, ...rest } = filter;
  const states = await countStates(ledger.pool, rest);
  return {
    ...{ runId: id, plan: name, states },
    reasons: await readReasons(ledger.pool, filter),
    rows: await readQuarantined(ledger.pool, filter, sealFrom(env), { limit }),
    matching: wanted.reduce((sum, state) => sum + states[state], 0),
  };
}

/** Rows by id, in the order of their ids. Throws ROW_UNKNOWN. */
export async function readRows(
  ledger: Ledger,
  ids: string[],
  env: NodeJS.ProcessEnv,
): Promise<QuarantinedRow[]> {
  const rows = await readQuarantined(ledger.pool, { ids }, sealFrom(env));
  const unknown = ids.filter((id) => !rows.some((row) => row.id === id));
  if (unknown.length === 0) return rows;
  throw new RowfleetError('ROW_UNKNOWN', `no quarantine here has a row ${unknown.join(', ')}`, {
    kind: 'usage',
    hint: 'rowfleet quarantine list',
  });
}

const pageRows = 200;

/** All rows that a filter lets through, a page in memory at a time. */
export async function* eachRow(
  ledger: Ledger,
  filter: QuarantineFilter,
  env: NodeJS.ProcessEnv,
): AsyncGenerator<QuarantinedRow> {
  const seal = sealFrom(env);
  for (let after = '0'; ; ) {
    const page = await readQuarantined(ledger.pool, filter, seal, { after, limit: pageRows });
    yield* page;
    if (page.length < pageRows) return;
    after = page.at(-1)!.id;
  }
}
