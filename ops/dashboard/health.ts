import type { Queues } from '../../jobs/queues.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { WorkerFigures } from '../../src/ledger/read-fleet.ts';
import { readAttendance } from '../../src/progress/fleet.ts';

/** What /health answers. Nothing in it names hosts or users. */
export interface Health {
  status: 'ok' | 'failing';
  ledger: 'ok' | 'unreachable';
  queue: 'ok' | 'unreachable';
  /** Null when the ledger cannot say. */
  activeRuns: number | null;
  /** Processes seen within the last 10 seconds, by kind. */
  workers: Record<WorkerFigures['kind'], number> | null;
  /** Why it is failing; empty when it is not. */
  problems: string[];
}

const patienceMs = 3_000;

/** The promise's value, or undefined when it failed or took too long: BullMQ waits for ever for a queue that is down. */
async function answered<T>(promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, patienceMs, undefined);
  });
  const value = await Promise.race([promise.catch(() => undefined), timeout]);
  clearTimeout(timer);
  return value;
}

/**
 * Whether the fleet can work: ledger and queue answer, and while a run is under way a process of each kind is alive.
 * With nothing to do, nobody needs to be there.
 */
export async function readHealth(ledger: Ledger, queues: Queues): Promise<Health> {
  const [fleet, jobs] = await Promise.all([
    answered(readAttendance(ledger)),
    answered(queues.control.getJobCounts('waiting')),
  ]);
  const problems: string[] = [];
  if (fleet === undefined) problems.push('the ledger does not answer');
  if (jobs === undefined) problems.push('the queue does not answer');
  for (const { kind, workers } of fleet && fleet.activeRuns > 0 ? fleet.workers : []) {
    if (workers === 0) problems.push(`a run is under way and no ${kind} was seen for 10 seconds`);
  }
  return {
    status: problems.length === 0 ? 'ok' : 'failing',
    ledger: fleet === undefined ? 'unreachable' : 'ok',
    queue: jobs === undefined ? 'unreachable' : 'ok',
    activeRuns: fleet?.activeRuns ?? null,
    workers: fleet
      ? (Object.fromEntries(fleet.workers.map(({ kind, workers }) => [kind, workers])) as Health['workers'])
      : null,
    problems,
  };
}
