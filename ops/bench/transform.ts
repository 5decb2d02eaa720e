import { frameOf } from '../../src/transform/frames.ts';
import { mixedColumns, mixedRows } from './mixed.ts';
import { type BenchSite, withBenchSite } from './site.ts';
import { ratios, spread } from './spread.ts';
import { measureStage, openMixed } from './transform-stage.ts';
import mixed from './transforms/mixed.ts';
import { moveTheUsualWay } from './usual-way.ts';

/** `npm run bench -- transform`: what a function per row costs, and what the usual way of such scripts does, in turn. */

/** Bytes that a socket gives at once. */
const socketBytes = 65_536;

/** Text of a row as COPY has it; the values hold nothing that it escapes but the backslash of bytea. */
const rowText = `concat_ws(E'\\t', id, ref, body, title, amount, at, case when flag then 't' else 'f' end, E'\\\\\\\\x' || encode(raw, 'hex'))`;

/** All rows of the source as CopyData frames, one a row as a server sends them, cut as a socket does. */
async function framesOf({ source }: BenchSite): Promise<Buffer[]> {
  const { rows } = await source.query<{ line: string }>(`select ${rowText} as line from public.mixed`);
  const frames = Buffer.concat(rows.map(({ line }) => frameOf(`${line}\n`)));
  const chunks: Buffer[] = [];
  for (let at = 0; at < frames.length; at += socketBytes) chunks.push(frames.subarray(at, at + socketBytes));
  return chunks;
}

/** Rows a second of time, and of this process's CPU time, the usual way. */
async function measureUsualWay({
  sourceUrl,
  targetUrl,
  target,
}: BenchSite): Promise<{ wall: number; cpu: number }> {
  await target.query('truncate public.changed');
  const before = process.cpuUsage();
  const started = performance.now();
  const moved = await moveTheUsualWay({
    source: sourceUrl,
    target: targetUrl,
    select: 'select * from public.mixed',
    into: 'public.changed',
    columns: ['id', 'ref', 'heading', 'cents', 'meta', 'at', 'digest'],
    // pg gives int8 as text, and times as Dates.
    change: (row) =>
      mixed({ ...row, id: BigInt(row.id as string) } as unknown as Parameters<typeof mixed>[0]),
  });
  const { user, system } = process.cpuUsage(before);
  return { wall: moved / ((performance.now() - started) / 1000), cpu: moved / ((user + system) / 1e6) };
}

async function measure(site: BenchSite, rows: number, runs: number): Promise<void> {
  const { source, target } = site;
  await source.query(`create table mixed (${mixedColumns})`);
  await source.query(mixedRows(rows));
  await target.query(
    'create table changed (id bigint, ref uuid, heading text, cents int, meta jsonb, at timestamptz, digest bytea)',
  );
  const frames = await framesOf(site);
  const transform = await openMixed();
  const stage: number[] = [];
  const wall: number[] = [];
  const cpu: number[] = [];
  for (let i = 0; i <= runs; i++) {
    const usual = await measureUsualWay(site);
    const own = await measureStage(transform, frames);
    if (i === 0) continue; // The first pair warms up.
    stage.push(own);
    wall.push(usual.wall);
    cpu.push(usual.cpu);
  }
  console.log(
    `${rows.toLocaleString('en')} rows, 8 columns in, 7 out, ${runs} pairs after one to warm up; median (min–max)`,
  );
  console.log(`  decode, function, encode             ${spread(stage, 0)} rows a second of CPU`);
  console.log(
    `  cursor, function, INSERTs of 1,000   ${spread(cpu, 0)} rows a second of CPU, ${spread(wall, 0)} a second`,
  );
  console.log(`  CPU, the first by the second         ${spread(ratios(stage, cpu), 1)} times the rows`);
}

/** Times `runs` pairs over `rows` rows on an embedded server of its own, and prints what came out. */
export const benchTransform = (rows: number, runs: number): Promise<void> =>
  withBenchSite((site) => measure(site, rows, runs));
