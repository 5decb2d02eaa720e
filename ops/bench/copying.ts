import type { Session } from '../../src/pg/session.ts';
import { BenchFleet } from './fleet.ts';
import { mixedColumns, mixedRows } from './mixed.ts';
import { requirePsql, timePipe } from './pipe.ts';
import { type BenchSite, withBenchSite } from './site.ts';
import { line, ratios, rounds, spread } from './spread.ts';

/** `npm run bench`: rowfleet against a pipe of two psql, in turn in one run, and what a loader needs in memory. */

/** Three rows a batch of 16 MB each: what a row-wise loader would hold in memory. */
const wideRows = `insert into wide select i, repeat(md5(i::text), 524288) from generate_series(1, 24) i`;

async function createTables(session: Session): Promise<void> {
  await session.query(`create table mixed (${mixedColumns}); create table wide (id int, body text)`);
  await session.query(`alter table wide alter column body set storage external`);
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
    const emptied = () => target.query('truncate public.mixed');
    const { pipe, copy, verify } = await rounds(runs, async () => {
      await emptied();
      const seconds = timePipe(site.sourceUrl, site.targetUrl, 'mixed', 'mixed');
      await emptied();
      return { pipe: seconds, ...(await fleet.run({ tables: ['mixed'] })) };
    });
    console.log(line('psql | psql, binary', `${spread(pipe, 2)} s`));
    console.log(line('rowfleet, one batch at a time', `${spread(copy, 2)} s`));
    console.log(line('rowfleet / pipe', spread(ratios(copy, pipe), 3)));
    console.log(line('standard validation / copying', spread(ratios(verify, copy), 3)));
    console.log(line('loader, peak memory', `${fleet.loaderPeakMegabytes()} MB`));
    await target.query('truncate public.mixed, public.wide');
    await fleet.run({ tables: ['wide'] });
    console.log(line('the same after rows of 16 MB', `${fleet.loaderPeakMegabytes()} MB`));
  } finally {
    await fleet.stop();
  }
}

/** Times `runs` pairs over `rows` rows on an embedded server of its own, and prints what came out. */
export async function benchCopying({ rows, runs }: { rows: number; runs: number }): Promise<void> {
  requirePsql();
  await withBenchSite((site) => measure(site, rows, runs));
}
