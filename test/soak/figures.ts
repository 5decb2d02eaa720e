import { Redis } from 'ioredis';
import type pg from 'pg';
import { queueSchema } from '../../jobs/backend.ts';
import type { SoakFleet } from './fleet.ts';
import type { SoakSite } from './site.ts';

/** What must not grow, as it was at one moment between two rounds. */
export interface Figures {
  /** Minutes since the soak began. */
  at: number;
  /** Resident MB of each process that was never killed. */
  memory: Record<string, number>;
  connections: { source: number; target: number };
  ledger: { megabytes: number; tasks: number; liveRows: number; deadRows: number };
  /** Jobs or keys. */
  queue: number;
}

const connectionsSql = `
  select count(*)::int as n from pg_stat_activity
   where datname = current_database() and usename = 'app' and application_name <> 'soak'`;

const ledgerSql = `
  select (sum(pg_total_relation_size(relid)) / 1048576)::float8 as megabytes, sum(n_live_tup)::float8 as "liveRows",
         sum(n_dead_tup)::float8 as "deadRows", (select count(*) from rowfleet.task)::int as tasks
    from pg_stat_all_tables where schemaname = 'rowfleet'`;

async function queueSize({ redis }: SoakSite, target: pg.Client): Promise<number> {
  if (redis === undefined)
    return (await target.query(`select count(*)::int as n from ${queueSchema}.job`)).rows[0].n;
  const client = new Redis(redis.url);
  return client.dbsize().finally(() => client.disconnect());
}

/** Takes the figures of a fleet at rest. */
export async function takeFigures(site: SoakSite, fleet: SoakFleet, beganAt: number): Promise<Figures> {
  const [source, target] = [await site.databases.source.open(), await site.databases.target.open()];
  const connections = async (session: pg.Client) => (await session.query(connectionsSql)).rows[0].n as number;
  const elders = fleet.places.filter(({ elder }) => elder);
  return {
    at: (Date.now() - beganAt) / 60_000,
    memory: Object.fromEntries(elders.map((place) => [place.name, fleet.memoryOf(place)])),
    connections: { source: await connections(source), target: await connections(target) },
    ledger: (await target.query(ledgerSql)).rows[0],
    queue: await queueSize(site, target),
  };
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** By how much a figure grows a minute, by least squares. */
function slope(points: { x: number; y: number }[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(points.map((p) => p.x)), mean(points.map((p) => p.y))];
  const spread = points.reduce((sum, p) => sum + (p.x - x) ** 2, 0);
  return spread === 0 ? 0 : points.reduce((sum, p) => sum + (p.x - x) * (p.y - y), 0) / spread;
}

/** A row of the report, and what is wrong with it. */
export interface Judged {
  line: string;
  problem?: string;
}

const judge = (line: string, isFine: boolean, bound: string): Judged =>
  isFine ? { line } : { line, problem: `${line}: ${bound}` };

/** Holds the figures against what may be: nothing grows with time, only the ledger with its tasks. */
export function judgeFigures(all: Figures[]): Judged[] {
  const [first, last] = [all[0]!, all.at(-1)!];
  const memory = Object.keys(last.memory).map((name) => {
    const [from, to] = [first.memory[name]!, last.memory[name]!];
    const perMinute = slope(all.map(({ at, memory }) => ({ x: at, y: memory[name]! })));
    const line = `memory of the ${name}: ${from.toFixed(0)} → ${to.toFixed(0)} MB, ${perMinute.toFixed(2)} MB a minute`;
    return judge(line, to < from * 1.3 + 30, 'more than 30 % and 30 MB above the first round');
  });
  const connections = (['source', 'target'] as const).map((side) => {
    const values = all.map((figures) => figures.connections[side]);
    const line = `connections to the ${side} after each round: ${values.join(' ')}`;
    const half = Math.ceil(values.length / 2);
    const isFine = all.length < 6 || median(values.slice(-half)) <= median(values.slice(0, half)) + 10;
    return judge(line, isFine, 'more than 10 above the first half of the rounds');
  });
  const { megabytes, tasks, liveRows, deadRows } = last.ledger;
  const perTask = ((megabytes - first.ledger.megabytes) * 1024) / Math.max(1, tasks - first.ledger.tasks);
  const queues = all.map(({ queue }) => queue);
  return [
    ...memory,
    ...connections,
    judge(
      `ledger: ${first.ledger.megabytes.toFixed(1)} → ${megabytes.toFixed(1)} MB, ${tasks} tasks, ${perTask.toFixed(1)} kB a task`,
      all.length < 3 || perTask < 8,
      'more than 8 kB a task',
    ),
    judge(
      `ledger: ${liveRows} rows, ${deadRows} dead`,
      deadRows < liveRows * 0.3 + 3_000,
      'vacuum does not keep up',
    ),
    judge(
      `jobs or keys in the queue after each round: ${queues.join(' ')}`,
      Math.max(...queues) < 2_500,
      'more than 2500',
    ),
  ];
}
