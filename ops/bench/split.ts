import { serverCpuSeconds } from './cpu.ts';
import { BenchFleet, type BenchPlan } from './fleet.ts';
import { requirePsql, timePipe } from './pipe.ts';
import { type BenchDatabase, BenchServers } from './servers.ts';
import { line, ratios, rounds, spread } from './spread.ts';

/** One table into three, in one read of the source, against three copies: what that costs the source's server. */

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

const sourceTable = `create table customer (id bigint primary key, ${Object.values(parts).map(declared).join(', ')})`;

const sourceRows = (rows: number) => `
  insert into customer
  select i, 'Customer ' || i, 'c' || i || '@example.com', date '1950-01-01' + i % 20000, i % 3 = 0,
         i % 300 || ' High Street', lpad((i % 100000)::text, 5, '0'), 'City ' || i % 1000, 'DE',
         timestamptz '2024-01-01' + i * interval '1 second', i % 100000 / 100.0, i * 7,
         jsonb_build_object('language', 'de', 'newsletter', i % 2 = 0)
    from generate_series(1, ${rows}) i`;

const columnsOf = (table: keyof typeof parts) => ['id', ...Object.keys(parts[table])];
const mapping = (table: keyof typeof parts) => ({
  to: table,
  columns: Object.fromEntries(columnsOf(table).map((column) => [column, `c.${column}`])),
});

const together: BenchPlan = {
  flows: [{ name: 'customers', from: 'customer c', outputs: names.map(mapping) }],
};
const apart: BenchPlan = {
  flows: names.map((table) => ({ name: table, from: 'customer c', ...mapping(table) })),
};

async function setUp(servers: BenchServers, rows: number) {
  const server = await servers.start();
  const source = await servers.createDatabase(server, 'source');
  const target = await servers.createDatabase(await servers.start(), 'target');
  await source.session.query(sourceTable);
  await source.session.query(sourceRows(rows));
  await source.session.query('vacuum analyze public.customer');
  for (const table of names)
    await target.session.query(`create table ${table} (id bigint, ${declared(parts[table])})`);
  return { source, target, cpu: () => serverCpuSeconds(server.pid) };
}

const empty = (target: BenchDatabase) =>
  target.session.query(`truncate ${names.map((name) => `public.${name}`)}`);

export async function benchSplit({ rows, runs }: { rows: number; runs: number }): Promise<void> {
  requirePsql();
  const servers = await BenchServers.create();
  let fleet: BenchFleet | undefined;
  try {
    const { source, target, cpu } = await setUp(servers, rows);
    const started = await BenchFleet.start(source.url, target.url);
    fleet = started;
    const copied = async (plan: BenchPlan) => {
      await empty(target);
      const before = cpu();
      let after = 0;
      const { copy } = await started.run(plan, () => {
        after = cpu();
      });
      return { seconds: copy, cpu: after - before };
    };
    console.log(
      `${rows.toLocaleString('en')} rows of 13 columns into three tables of 5, ${runs} rounds after one to warm up; median (min–max)`,
    );
    const figures = await rounds(runs, async () => {
      await empty(target);
      const before = cpu();
      const pipes = names.map((table) =>
        timePipe(source.url, target.url, `customer (${columnsOf(table)})`, table),
      );
      const pipeCpu = cpu() - before;
      const [three, one] = [await copied(apart), await copied(together)];
      return {
        pipeSeconds: pipes.reduce((sum, seconds) => sum + seconds, 0),
        pipeCpu,
        ...{ threeSeconds: three.seconds, threeCpu: three.cpu },
        ...{ oneSeconds: one.seconds, oneCpu: one.cpu },
      };
    });
    print(figures);
  } finally {
    await fleet?.stop();
    await servers.stop();
  }
}

type Figures = Record<
  'pipeSeconds' | 'pipeCpu' | 'threeSeconds' | 'threeCpu' | 'oneSeconds' | 'oneCpu',
  number[]
>;

function print({ pipeSeconds, pipeCpu, threeSeconds, threeCpu, oneSeconds, oneCpu }: Figures): void {
  console.log("the source's CPU time");
  console.log(line('three times psql | psql, binary', `${spread(pipeCpu, 2)} s`));
  console.log(line('rowfleet, three flows', `${spread(threeCpu, 2)} s`));
  console.log(line('rowfleet, three outputs of one flow', `${spread(oneCpu, 2)} s`));
  console.log(line('three outputs / three pipes', spread(ratios(oneCpu, pipeCpu), 3)));
  console.log(line('three outputs / three flows', spread(ratios(oneCpu, threeCpu), 3)));
  console.log('wall time, one batch at a time');
  console.log(line('three times psql | psql, binary', `${spread(pipeSeconds, 2)} s`));
  console.log(line('rowfleet, three flows', `${spread(threeSeconds, 2)} s`));
  console.log(line('rowfleet, three outputs of one flow', `${spread(oneSeconds, 2)} s`));
  console.log(line('three outputs / three pipes', spread(ratios(oneSeconds, pipeSeconds), 3)));
}
