import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { RowfleetError } from '../../src/errors.ts';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession, type Session } from '../../src/pg/session.ts';
import { type EmbeddedServer, startServer } from '../embedded/server.ts';
import { BenchFleet } from './fleet.ts';

/** `npm run bench`: rowfleet against a pipe of two psql, in turn in one run, and what a loader needs in memory. */

interface Measured {
  pipe: number;
  copy: number;
  verify: number;
}

const columns = `id bigint, ref uuid, body jsonb, title text, amount numeric(12, 2), at timestamptz, flag boolean, raw bytea`;

const mixedRows = (rows: number) => `
  insert into mixed
  select i, md5(i::text)::uuid, jsonb_build_object('n', i, 'tags', jsonb_build_array('a', i % 7)),
         repeat('title ' || i % 100, 1 + i % 8), i % 100000 / 100.0,
         timestamptz '2024-01-01' + i * interval '1 second', i % 3 = 0, decode(md5(i::text), 'hex')
    from generate_series(1, ${rows}) i`;

/** Three rows a batch of 16 MB each: what a row-wise loader would hold in memory. */
const wideRows = `insert into wide select i, repeat(md5(i::text), 524288) from generate_series(1, 24) i`;

const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const ratios = (a: number[], b: number[]): number[] => a.map((value, i) => value / b[i]!);
const spread = (values: number[], digits: number): string =>
  `${median(values).toFixed(digits)}  (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`;

function requirePsql(): void {
  try {
    execFileSync('psql', ['--version'], { stdio: 'ignore' });
  } catch {
    throw new RowfleetError('BENCH_PSQL', 'the comparison needs psql, which is not on the PATH', {
      kind: 'usage',
      hint: 'install postgresql-client',
    });
  }
}

/** Seconds that `psql … | psql …` takes, binary, into an emptied table. */
async function timePipe(target: Session, sourceUrl: string, targetUrl: string): Promise<number> {
  await target.query('truncate public.mixed');
  const out = `psql "$FROM" -qc 'copy mixed to stdout (format binary)'`;
  const into = `psql "$TO" -qc 'copy mixed from stdin (format binary)'`;
  const started = performance.now();
  execFileSync('bash', ['-c', `set -o pipefail; ${out} | ${into}`], {
    env: { ...process.env, FROM: sourceUrl, TO: targetUrl },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return (performance.now() - started) / 1000;
}

async function createTables(session: Session): Promise<void> {
  await session.query(`set search_path = public`);
  await session.query(`create table mixed (${columns}); create table wide (id int, body text)`);
  await session.query(`alter table wide alter column body set storage external`);
}

async function compare(
  fleet: BenchFleet,
  target: Session,
  server: EmbeddedServer,
  runs: number,
): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (let i = 0; i <= runs; i++) {
    const pipe = await timePipe(target, server.urlFor('source'), server.urlFor('target'));
    await target.query('truncate public.mixed');
    const { copy, verify } = await fleet.run('mixed');
    if (i > 0) measured.push({ pipe, copy, verify }); // The first pair warms up.
  }
  return measured;
}

async function bench(rows: number, runs: number): Promise<void> {
  requirePsql();
  const folder = await mkdtemp(join(tmpdir(), 'rowfleet-bench-'));
  await chmod(folder, 0o755);
  const settings = { shared_buffers: '512MB', max_wal_size: '8GB', autovacuum: 'off', jit: 'off' };
  const server = await startServer({ version: 18, dataDir: join(folder, 'postgres'), settings });
  const admin = await openSession(endpointFromUrl(server.superuserUrl), 'rowfleet bench');
  for (const name of ['source', 'target']) await admin.query(`create database ${name}`);
  const source = await openSession(endpointFromUrl(server.urlFor('source')), 'rowfleet bench');
  const target = await openSession(endpointFromUrl(server.urlFor('target')), 'rowfleet bench');
  await createTables(source);
  await createTables(target);
  await source.query(mixedRows(rows));
  await source.query('vacuum analyze public.mixed');
  await source.query(wideRows);
  const fleet = await BenchFleet.start(server.urlFor('source'), server.urlFor('target'));
  try {
    console.log(
      `${rows.toLocaleString('en')} rows of 8 columns, ${runs} pairs after one to warm up; median (min–max)`,
    );
    const measured = await compare(fleet, target, server, runs);
    const [pipe, copy, verify] = (['pipe', 'copy', 'verify'] as const).map((key) =>
      measured.map((one) => one[key]),
    );
    console.log(`  psql | psql, binary             ${spread(pipe!, 2)} s`);
    console.log(`  rowfleet, one batch at a time   ${spread(copy!, 2)} s`);
    console.log(`  rowfleet / pipe                 ${spread(ratios(copy!, pipe!), 3)}`);
    console.log(`  standard validation / copying   ${spread(ratios(verify!, copy!), 3)}`);
    console.log(`  loader, peak memory             ${fleet.loaderPeakMegabytes()} MB`);
    await target.query('truncate public.mixed, public.wide');
    await fleet.run('wide');
    console.log(`  the same after rows of 16 MB    ${fleet.loaderPeakMegabytes()} MB`);
  } finally {
    await fleet.stop();
    for (const session of [source, target, admin]) await session.end();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

await new Command('bench')
  .description('Times rowfleet against a pipe of two psql, in turn, on an embedded PostgreSQL.')
  .option('--rows <number>', 'rows to copy', Number, 2_000_000)
  .option('--runs <number>', 'pairs to time', Number, 5)
  .action((options: { rows: number; runs: number }) => bench(options.rows, options.runs))
  .parseAsync();
