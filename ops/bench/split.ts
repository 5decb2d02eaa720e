import { serverCpuSeconds } from './cpu.ts';
import { BenchFleet, type BenchPlan } from './fleet.ts';
import { requirePsql, timePipe } from './pipe.ts';
import { type BenchSite, withBenchSite } from './site.ts';
import { line, ratios, rounds, spread } from './spread.ts';

/** One table into three, in one read of the source, against three copies: what that costs the source's server. */

/** The rows that are wanted: all, or those of one tenant, whom no index leads to. */
interface Wanted {
  words: string;
  where?: string;
}

const all: Wanted = { words: 'all rows' };
const oneTenant: Wanted = { words: 'one tenant of twenty, without an index', where: 'c.tenant = 7' };

/** Target table: its columns besides the key. Source and target are servers of their own, so that each has its own CPU time. */
const parts = {
  person: { name: 'text', email: 'text', born: 'date', active: 'boolean' },
  address: { street: 'text', postcode: 'text', city: 'text', country: 'text' },
  account: { opened_at: 'timestamptz', balance: 'numeric(12, 2)', visits: 'bigint', settings: 'jsonb' },
};
const names = Object.keys(parts) as (keyof typeof parts)[];
const declared = (columns: object) =>
  Object.entries(columns)
    .map(([name, type]) => `${name} ${type}`)
    .join(', ');

const sourceTable = `create table customer (id bigint primary key, tenant int, ${Object.values(parts).map(declared).join(', ')})`;

const sourceRows = (rows: number) => `
  insert into customer
  select i, i % 20, 'Customer ' || i, 'c' || i || '@example.com', date '1950-01-01' + i % 20000, i % 3 = 0,
         i % 300 || ' High Street', lpad((i % 100000)::text, 5, '0'), 'City ' || i % 1000, 'DE',
         timestamptz '2024-01-01' + i * interval '1 second', i % 100000 / 100.0, i * 7,
         jsonb_build_object('language', 'de', 'newsletter', i % 2 = 0)
    from generate_series(1, ${rows}) i`;

const columnsOf = (table: keyof typeof parts) => ['id', ...Object.keys(parts[table])];
const mapping = (table: keyof typeof parts) => ({
  to: table,
  columns: Object.fromEntries(columnsOf(table).map((column) => [column, `c.${column}`])),
});

const together = ({ where }: Wanted): BenchPlan => ({
  flows: [{ name: 'customers', from: 'customer c', where, outputs: names.map(mapping) }],
});
const apart = ({ where }: Wanted): BenchPlan => ({
  flows: names.map((table) => ({ name: table, from: 'customer c', where, ...mapping(table) })),
});

async function fill({ source, target }: BenchSite, rows: number): Promise<void> {
  await source.query(sourceTable);
  await source.query(sourceRows(rows));
  await source.query('vacuum analyze public.customer');
  for (const table of names)
    await target.query(`create table ${table} (id bigint, ${declared(parts[table])})`);
}

interface Cost {
  seconds: number;
  cpu: number;
}

const selectOf = (columns: string[], { where }: Wanted) =>
  `(select ${columns.map((column) => `c.${column}`).join(', ')} from customer c where ${where ?? true})`;

/** Three pipes, one after the other, into emptied tables. */
async function costOfPipes(site: BenchSite, wanted: Wanted): Promise<Cost> {
  await empty(site);
  const before = serverCpuSeconds(site.sourcePid);
  let seconds = 0;
  for (const table of names)
    seconds += timePipe(site.sourceUrl, site.targetUrl, selectOf(columnsOf(table), wanted), table);
  return { seconds, cpu: serverCpuSeconds(site.sourcePid) - before };
}

/** One COPY of every column once, which goes nowhere: what the server cannot do without. */
async function costOfOneCopy({ source, sourcePid }: BenchSite, wanted: Wanted): Promise<number> {
  const columns = [...new Set(names.flatMap(columnsOf))];
  const before = serverCpuSeconds(sourcePid);
  await source.query(`copy ${selectOf(columns, wanted)} to '/dev/null' (format binary)`);
  return serverCpuSeconds(sourcePid) - before;
}

/** A run, until the last of its batches is done, into emptied tables. */
async function costOfRun(site: BenchSite, fleet: BenchFleet, plan: BenchPlan): Promise<Cost> {
  await empty(site);
  const before = serverCpuSeconds(site.sourcePid);
  let after = before;
  const { copy } = await fleet.run(plan, () => {
    after = serverCpuSeconds(site.sourcePid);
  });
  return { seconds: copy, cpu: after - before };
}

const empty = ({ target }: BenchSite) =>
  target.query(`truncate ${names.map((name) => `public.${name}`).join(', ')}`);

async function measure(site: BenchSite, rows: number, runs: number): Promise<void> {
  await fill(site, rows);
  const fleet = await BenchFleet.start(site.sourceUrl, site.targetUrl);
  try {
    console.log(
      `${rows.toLocaleString('en')} rows, 13 columns into three tables of 5, ${runs} rounds after one to warm up; median (min–max)`,
    );
    for (const wanted of [all, oneTenant]) {
      console.log(wanted.words);
      print(await rounds(runs, () => oneRound(site, fleet, wanted)));
    }
  } finally {
    await fleet.stop();
  }
}

async function oneRound(site: BenchSite, fleet: BenchFleet, wanted: Wanted) {
  const pipes = await costOfPipes(site, wanted);
  const three = await costOfRun(site, fleet, apart(wanted));
  const one = await costOfRun(site, fleet, together(wanted));
  const least = await costOfOneCopy(site, wanted);
  return {
    ...{ pipeSeconds: pipes.seconds, pipeCpu: pipes.cpu },
    ...{ threeSeconds: three.seconds, threeCpu: three.cpu },
    ...{ oneSeconds: one.seconds, oneCpu: one.cpu, least },
  };
}

type Figures = Record<keyof Awaited<ReturnType<typeof oneRound>>, number[]>;

function print({ pipeSeconds, pipeCpu, threeSeconds, threeCpu, oneSeconds, oneCpu, least }: Figures): void {
  console.log("  the source's CPU time");
  console.log(line('three times psql | psql, binary', `${spread(pipeCpu, 2)} s`));
  console.log(line('rowfleet, three flows', `${spread(threeCpu, 2)} s`));
  console.log(line('rowfleet, three outputs of one flow', `${spread(oneCpu, 2)} s`));
  console.log(line('three outputs / three pipes', spread(ratios(oneCpu, pipeCpu), 3)));
  console.log(line('three outputs / three flows', spread(ratios(oneCpu, threeCpu), 3)));
  console.log(line('one COPY to /dev/null / three pipes', spread(ratios(least, pipeCpu), 3)));
  console.log('  wall time, one batch at a time');
  console.log(line('three times psql | psql, binary', `${spread(pipeSeconds, 2)} s`));
  console.log(line('rowfleet, three flows', `${spread(threeSeconds, 2)} s`));
  console.log(line('rowfleet, three outputs of one flow', `${spread(oneSeconds, 2)} s`));
  console.log(line('three outputs / three pipes', spread(ratios(oneSeconds, pipeSeconds), 3)));
}

/** Takes `runs` rounds over `rows` rows on two embedded servers of its own, and prints what came out. */
export async function benchSplit({ rows, runs }: { rows: number; runs: number }): Promise<void> {
  requirePsql();
  await withBenchSite((site) => measure(site, rows, runs), { apart: true });
}
