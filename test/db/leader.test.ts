import { afterAll, beforeAll, expect, test } from 'vitest';
import { endBlockers, giveUpLead, holdLead, LeadLost, renewLead, takeLead } from '../../src/ledger/leader.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { lockRun, RunChanged } from '../../src/ledger/lock-run.ts';
import { readRun, setWaiting } from '../../src/ledger/runs.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import type { RunContext } from '../../src/run/context.ts';
import { copy } from '../../src/run/copy.ts';
import { asDriver, asLeader, settleObject } from '../../src/run/lead.ts';
import { withTarget } from '../../src/run/target.ts';
import { until } from '../fleet-processes.ts';
import { createLedger, createRun } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let database: TestDatabase;
let ledger: Ledger;
let runId: string;

beforeAll(async () => {
  database = await createDatabase(18);
  ledger = await createLedger(database);
  runId = await createRun(ledger);
});

afterAll(async () => {
  await ledger.close();
  await database.drop();
});

const runOut = () =>
  ledger.pool.query(`update rowfleet.leader set lease_until = now() - interval '1 second'`);
const isBlocked = (pid: number) =>
  until('the takeover waits', async () => {
    const { rows } = await ledger.pool.query('select cardinality(pg_blocking_pids($1)) as n', [pid]);
    return rows[0].n > 0;
  });

/** A session in a transaction in which a leader holds its epoch. */
async function holding(epoch: string) {
  const session = await database.open();
  await session.query('begin');
  await holdLead(session, epoch);
  return session;
}

/** A standby that asks for the lead while a former leader holds its epoch. */
async function asking(worker: string) {
  const session = await database.open();
  const { rows } = await session.query('select pg_backend_pid() as pid');
  const epoch = takeLead(session, worker);
  await isBlocked(rows[0].pid);
  return { epoch, pid: rows[0].pid as number };
}

test('the lead is taken only where nobody has it, and every time with the next epoch', async () => {
  expect(await takeLead(ledger.pool, 'first')).toBe('1');
  expect(await takeLead(ledger.pool, 'second')).toBeUndefined();
  await giveUpLead(ledger.pool, '1');
  expect(await takeLead(ledger.pool, 'second')).toBe('2');
  await giveUpLead(ledger.pool, '1');
  expect(await takeLead(ledger.pool, 'third')).toBeUndefined();
});

test('a leader renews its lease while it writes, and a successor waits for what it writes', async () => {
  const writing = await holding('2');
  expect(await renewLead(ledger.pool, '2')).toBe(true);
  await runOut();
  const { epoch } = await asking('third');
  await writing.query('commit');
  expect(await epoch).toBe('3');
  expect(await renewLead(ledger.pool, '2')).toBe(false);
});

test('a former leader that does not go on is ended', async () => {
  const asleep = await holding('3');
  await runOut();
  const { epoch, pid } = await asking('fourth');
  await endBlockers(ledger.pool, pid);
  expect(await epoch).toBe('4');
  await expect(asleep.query('commit')).rejects.toThrow();
});

test('who was overtaken writes nothing', async () => {
  const write = (epoch: string, waiting: string) => {
    const ctx = { target: ledger.pool, epoch, signal: new AbortController().signal } as RunContext;
    return asLeader(ctx, (tx) => setWaiting(tx, runId, waiting));
  };
  await expect(write('3', 'overtaken')).rejects.toThrow(LeadLost);
  expect(await readRun(ledger.pool, runId)).toMatchObject({ waiting: null });
  await write('4', 'leading');
  expect(await readRun(ledger.pool, runId)).toMatchObject({ waiting: 'leading' });
});

test('who was overtaken settles no object, nor does a look at a run that people changed since', async () => {
  const looking = async (epoch: string) => {
    const run = await readRun(ledger.pool, runId);
    return { target: ledger.pool, epoch, signal: new AbortController().signal, run } as RunContext;
  };
  const settle = (ctx: RunContext) =>
    withTarget(ctx, (session) =>
      inTransaction(session, 'read committed', () => settleObject(ctx, session, '0', 'down')),
    );
  await expect(settle(await looking('3'))).rejects.toThrow(LeadLost);
  const look = await looking('4');
  await settle(look);
  await lockRun(ledger.pool, runId);
  await expect(settle(look)).rejects.toThrow(RunChanged);
  await expect(asDriver(look, (tx) => setWaiting(tx, runId, 'old'))).rejects.toThrow(RunChanged);
  await settle(await looking('4'));
});

test('a copy is not over while a batch of it has failed', async () => {
  const keeper = { alive: true, epoch: { relations: {} }, close: async () => {} };
  const ctx = {
    ...{ target: ledger.pool, ledger: ledger.pool, epoch: '4', signal: new AbortController().signal },
    ...{ run: await readRun(ledger.pool, runId), keeper, heldFlows: new Set() },
  } as unknown as RunContext;
  const { rows } = await ledger.pool.query(
    `insert into rowfleet.task (run_id, kind, flow, relation, spec, state)
     values ($1, 'batch', 'f', 'public.t', '{}', 'failed') returning id`,
    [runId],
  );
  expect(await copy(ctx)).toBe('stay');
  await ledger.pool.query(`update rowfleet.task set state = 'done' where id = $1`, [rows[0].id]);
  expect(await copy(ctx)).toBe('next');
});
