import { execFileSync } from 'node:child_process';
import { RowfleetError } from '../../src/errors.ts';
import type { Session } from '../../src/pg/session.ts';
import { ratios, spread } from './figures.ts';
import { BenchFleet } from './fleet.ts';
import { mixedColumns, mixedRows } from './mixed.ts';
import { type BenchSite, withBenchSite } from './site.ts';

/** `npm run bench`: rowfleet against a pipe of two psql, in turn in one run, and what a loader needs in memory. */

interface Measured {
  pipe: number;
  copy: number;
  verify: number;
}

/** Three rows a batch of 16 MB each: what a row-wise loader would hold in memory. */
const wideRows = `insert into wide select i, repeat(md5(i::text), 524288) from generate_series(1, 24) i`;

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
  await session.query(`create table mixed (${mixedColumns}); create table wide (id int, body text)`);
  await session.query(`alter table wide alter column body set storage external`);
}

async function compare(
  fleet: BenchFleet,
  { target, sourceUrl, targetUrl }: BenchSite,
  runs: number,
): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (let i = 0; i <= runs; i++) {
    const pipe = await timePipe(target, sourceUrl, targetUrl);
    await target.query('truncate public.mixed');
    const { copy, verify } = await fleet.run('mixed');
    if (i > 0) measured.push({ pipe, copy, verify }); // The first pair warms up.
  }
  return measured;
}

async function measure(site: BenchSite, rows: number, runs: number): Promise<void> {
  const { source, target } = site;
  await createTables(source);
  await createTables(target);
  await source.query(mixedRows(rows));
  await source.query('vacuum analyze public.mixed');
  await source.query(wideRows);
  const fleet = await BenchFleet.start(site.sourceUrl, site.targetUrl);
  try {
    console.log(
      `${rows.toLocaleString('en')} rows of 8 columns, ${runs} pairs after one to warm up; median (min–max)`,
    );
    const measured = await compare(fleet, site, runs);
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
  }
}

/** Times `runs` pairs over `rows` rows on an embedded server of its own, and prints what came out. */
export async function benchCopy(rows: number, runs: number): Promise<void> {
  requirePsql();
  await withBenchSite((site) => measure(site, rows, runs));
}
