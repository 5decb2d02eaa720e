import { frameOf } from '../../src/transform/encode/frame-of.ts';
import { BenchFleet } from './fleet.ts';
import { mixedColumns, mixedRows } from './mixed.ts';
import { type BenchSite, withBenchSite } from './site.ts';
import { line, ratios, rounds, spread } from './spread.ts';
import { goThroughStage, inputTypes, openMixed, outputTypes } from './transform-stage.ts';
import mixed from './transforms/mixed.ts';
import { moveTheUsualWay } from './usual-way.ts';

/** `npm run bench -- transform`: a function per row in a run, and the usual way of such scripts, in turn; and what the function's stage alone costs. */

/** Bytes that a socket gives at once. */
const socketBytes = 65_536;

/** Text of a row as COPY has it; the values hold nothing that it escapes but the backslash of bytea. */
const rowText = `concat_ws(E'\\t', id, ref, body, title, amount, at, case when flag then 't' else 'f' end, E'\\\\\\\\x' || encode(raw, 'hex'))`;

/** So many rows of the source as CopyData frames, one a row as a server sends them, cut as a socket does. */
async function framesOf({ source }: BenchSite, some: number): Promise<Buffer[]> {
  const { rows } = await source.query<{ line: string }>(
    `select ${rowText} as line from public.mixed limit ${some}`,
  );
  const frames = Buffer.concat(rows.map(({ line }) => frameOf(`${line}\n`)));
  const chunks: Buffer[] = [];
  for (let at = 0; at < frames.length; at += socketBytes) chunks.push(frames.subarray(at, at + socketBytes));
  return chunks;
}

/** The same function in a run. */
const flow = {
  name: 'mixed',
  from: 'mixed m',
  to: 'changed',
  transform: 'transforms/mixed.ts',
  columns: Object.fromEntries(Object.keys(inputTypes).map((column) => [column, `m.${column}`])),
};

interface Cost {
  seconds: number;
  /** Of this process. */
  cpu: number;
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const before = process.cpuUsage();
  const started = performance.now();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - started) / 1000, cpu: (user + system) / 1e6 };
}

const costOfUsualWay = ({ sourceUrl, targetUrl }: BenchSite, some: number): Promise<Cost> =>
  costOf(() =>
    moveTheUsualWay({
      source: sourceUrl,
      target: targetUrl,
      select: `select * from public.mixed limit ${some}`,
      into: 'public.changed',
      columns: Object.keys(outputTypes),
      // pg gives int8 as text, and times as Dates.
      change: (row) =>
        mixed({ ...row, id: BigInt(row.id as string) } as unknown as Parameters<typeof mixed>[0]),
    }),
  );

async function fill({ source, target }: BenchSite, rows: number): Promise<void> {
  await source.query(`create table mixed (${mixedColumns})`);
  await source.query(mixedRows(rows));
  await source.query('vacuum analyze public.mixed');
  await target.query(
    'create table changed (id bigint, ref uuid, heading text, cents int, meta jsonb, at timestamptz, digest bytea)',
  );
}

async function measure(site: BenchSite, rows: number, runs: number): Promise<void> {
  // The usual way costs the same for each row: what a part of them takes tells its rate.
  const some = Math.ceil(rows / 5);
  await fill(site, rows);
  const frames = await framesOf(site, some);
  const transform = await openMixed();
  const fleet = await BenchFleet.start(site.sourceUrl, site.targetUrl);
  const emptied = () => site.target.query('truncate public.changed');
  try {
    console.log(
      `${rows.toLocaleString('en')} rows, 8 columns in, 7 out, and the first fifth of them otherwise, ${runs} rounds after one to warm up; median (min–max)`,
    );
    const figures = await rounds(runs, async () => {
      await emptied();
      const usual = await costOfUsualWay(site, some);
      await emptied();
      const { copy } = await fleet.run({ flows: [flow], level: 'basic' });
      const stage = await costOf(() => goThroughStage(transform, frames));
      return {
        usual: some / usual.seconds,
        run: rows / copy,
        usualCpu: some / usual.cpu,
        stageCpu: some / stage.cpu,
      };
    });
    print(figures);
  } finally {
    await fleet.stop();
  }
}

type Figures = Record<'usual' | 'run' | 'usualCpu' | 'stageCpu', number[]>;

function print({ usual, run, usualCpu, stageCpu }: Figures): void {
  console.log('rows a second, source to target');
  console.log(line('cursor, function, INSERTs of 1,000', spread(usual, 0)));
  console.log(line('rowfleet, one batch at a time', spread(run, 0)));
  console.log(line('rowfleet / cursor and INSERTs', spread(ratios(run, usual), 1)));
  console.log("rows a second of a process's CPU time");
  console.log(line('cursor, function, INSERTs of 1,000', spread(usualCpu, 0)));
  console.log(line('decode, function, encode', spread(stageCpu, 0)));
  console.log(line('decode, function, encode / the former', spread(ratios(stageCpu, usualCpu), 1)));
}

/** Times `runs` rounds over `rows` rows on an embedded server of its own, and prints what came out. */
export async function benchTransform({ rows, runs }: { rows: number; runs: number }): Promise<void> {
  await withBenchSite((site) => measure(site, rows, runs));
}
