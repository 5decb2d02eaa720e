import { setTimeout as sleep } from 'node:timers/promises';
import { type CatalogSnapshot, catalogSnapshot, diffSnapshots } from '../../src/catalog/snapshot.ts';
import { sealFrom, sendRefused } from '../../src/control/quarantine.ts';
import { startRun } from '../../src/control/start.ts';
import { type Ledger, openLedger } from '../../src/ledger/ledger.ts';
import { type Run, readRun } from '../../src/ledger/runs.ts';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { parsePlan } from '../../src/plan/read/parse.ts';
import { resolvePlan } from '../../src/plan/resolve/resolve.ts';
import { compareDatabases } from '../compare.ts';
import { drawFault, type Stage } from './faults.ts';
import type { SoakSite } from './site.ts';

const plan = `
name: soak
source: \${SOURCE_DATABASE_URL}
target: \${TARGET_DATABASE_URL}
migration: {batch_size: 300, max_retries: 10, timeout_per_batch: 20s, validation_level: standard}
tables: "*"
`;

/** Rows that the target refuses at first, in every round. */
const refused = 3;

/** Faults at most so long, in the migration and while what was refused is sent again; then the run must end by itself. */
const faultSeconds = { migration: 40, mending: 10 };
const calmSeconds = 120;

/** Hears of each fault as it happens. */
export type OnFault = (kind: string, what: string) => void;

interface Round {
  stage: Stage;
  ledger: Ledger;
  onFault: OnFault;
}

async function start(site: SoakSite, ledger: Ledger): Promise<string> {
  const [source, target] = [await site.databases.source.open(), await site.databases.target.open()];
  await target.query('truncate public.author, public.book, public.note, public.log');
  // Each round has other rows to copy than the one before.
  await source.query('update public.book set price = price + 1 where id % 50 = 0; analyze public.book');
  await source.query(`delete from public.book where title = 'refused'`);
  await source.query(
    `insert into public.book (author_id, title) select i, 'refused' from generate_series(1, ${refused}) i`,
  );
  await target.query(`alter table public.book add constraint welcome check (title <> 'refused')`);
  const { resolved, problems } = await resolvePlan(parsePlan(plan, 'soak.yaml').plan!, source, target);
  if (resolved === undefined) throw new Error(JSON.stringify(problems));
  return startRun(ledger, { resolved, file: 'soak.yaml', kind: 'migrate', actor: 'soak' });
}

/** The run as it is now; undefined while the ledger's server is away. */
const look = (ledger: Ledger, runId: string): Promise<Run | undefined> =>
  readRun(ledger.pool, runId).catch(() => undefined);

/** Lets faults happen, up to three at a time, until the run has ended or the time for them is over. */
async function strike(round: Round, runId: string, forSeconds: number): Promise<void> {
  const { stage, ledger, onFault } = round;
  const underWay = new Map<string, Promise<void>>();
  const end = Date.now() + forSeconds * 1000;
  while (Date.now() < end) {
    const { kind, on, what, happen } = drawFault(stage);
    const pause = stage.random.between(0.3, 2.5) * 1000;
    if (underWay.size < 3 && !underWay.has(on)) {
      onFault(kind, what);
      underWay.set(
        on,
        happen().finally(() => underWay.delete(on)),
      );
    }
    await sleep(pause);
    const run = await look(ledger, runId);
    if (run !== undefined && run.state !== 'running') break;
  }
  await Promise.all(underWay.values());
}

/** Lets faults happen, then waits until the run has ended by itself. Throws where it ends otherwise than it should. */
async function endsAs(round: Round, runId: string, state: Run['state'], forSeconds: number): Promise<Run> {
  await strike(round, runId, forSeconds);
  const end = Date.now() + calmSeconds * 1000;
  for (;;) {
    const run = await look(round.ledger, runId);
    if (run?.state === state) return run;
    if (run !== undefined && run.state !== 'running')
      throw new Error(`run ${runId} is ${run.state}, not ${state}: ${JSON.stringify(run.error)}`);
    if (Date.now() > end)
      throw new Error(`run ${runId} is stuck in ${run?.phase}: ${run?.waiting ?? 'it says nothing'}`);
    await sleep(200);
  }
}

/** What is not accounted for, or was done twice. */
const accountsSql = `
  select 'task ' || t.id || ' of ' || coalesce(t.flow, t.kind) || ' is ' || t.state as problem
    from rowfleet.task t where t.run_id = $1 and t.state <> 'done'
  union all
  select 'task ' || task_id || ' was done ' || count(*) || ' times'
    from rowfleet.attempt where run_id = $1 and outcome = 'done' group by task_id having count(*) > 1
  union all
  select 'task ' || t.id || ' was done under an attempt that is not recorded so'
    from rowfleet.task t join rowfleet.attempt a on a.task_id = t.id and a.number = t.attempt
   where t.run_id = $1 and t.state = 'done' and a.outcome is distinct from 'done'
  union all
  select flow || ': ' || sum(rows_out) || ' rows out, ' || sum(rows_in) || ' rows in, ' || sum(rows_quarantined) || ' quarantined'
    from rowfleet.task where run_id = $1 and kind = 'batch'
   group by flow having sum(rows_out) <> sum(rows_in) + sum(rows_quarantined)
  union all
  select count(*) || ' rows were set aside' from rowfleet.quarantine where run_id = $1 having count(*) <> ${refused}
  union all
  select 'a row of the quarantine is ' || state from rowfleet.quarantine where run_id = $1 and state <> 'loaded'
  union all
  select 'attempt ' || number || ' of task ' || task_id || ' never ended'
    from rowfleet.attempt where run_id = $1 and ended_at is null`;

async function problemsOf(
  site: SoakSite,
  ledger: Ledger,
  runId: string,
  before: CatalogSnapshot,
): Promise<string[]> {
  const rows = await compareDatabases(site.databases.source, site.databases.target);
  const after = await catalogSnapshot(await site.databases.target.open(), ['public']);
  const catalog = diffSnapshots(before, after).map((difference) => JSON.stringify(difference));
  const { rows: accounts } = await ledger.pool.query(accountsSql, [runId]);
  return [...rows, ...catalog, ...accounts.map(({ problem }: { problem: string }) => problem)];
}

/** One migration under fire, with rows that are refused and sent again, held against its source in the end. Throws what is wrong. */
export async function playRound(stage: Stage, onFault: OnFault): Promise<Run> {
  const { site } = stage;
  const ledger = openLedger(endpointFromUrl(site.target.url), { applicationName: 'soak' });
  const round: Round = { stage, ledger, onFault };
  try {
    const before = await catalogSnapshot(await site.databases.target.open(), ['public']);
    const runId = await start(site, ledger);
    await site.closeSessions();
    await endsAs(round, runId, 'quarantined', faultSeconds.migration);
    await site.target.exec('alter table book drop constraint welcome');
    await sendRefused(ledger, runId, { actor: 'soak' }, sealFrom(process.env));
    const run = await endsAs(round, runId, 'verified', faultSeconds.mending);
    const problems = await problemsOf(site, ledger, runId, before);
    if (problems.length > 0) throw new Error(problems.join('\n'));
    return run;
  } finally {
    await ledger.close();
  }
}
