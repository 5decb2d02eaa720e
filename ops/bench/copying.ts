import { BenchFleet } from './fleet.ts';
import { requirePsql, timePipe } from './pipe.ts';
import { BenchServers } from './servers.ts';
import { line, ratios, rounds, spread } from './spread.ts';

/** rowfleet against a pipe of two psql, in turn in one run, and what a loader needs in memory. */

const tables = `
  create table mixed (
    id bigint, ref uuid, body jsonb, title text, amount numeric(12, 2), at timestamptz, flag boolean, raw bytea);
  create table wide (id int, body text);
  alter table wide alter column body set storage external`;

export const mixedRows = (rows: number) => `
  insert into mixed
  select i, md5(i::text)::uuid, jsonb_build_object('n', i, 'tags', jsonb_build_array('a', i % 7)),
         repeat('title ' || i % 100, 1 + i % 8), i % 100000 / 100.0,
         timestamptz '2024-01-01' + i * interval '1 second', i % 3 = 0, decode(md5(i::text), 'hex')
    from generate_series(1, ${rows}) i`;

/** Three rows a batch of 16 MB each: what a row-wise loader would hold in memory. */
const wideRows = `insert into wide select i, repeat(md5(i::text), 524288) from generate_series(1, 24) i`;

export async function benchCopying({ rows, runs }: { rows: number; runs: number }): Promise<void> {
  requirePsql();
  const servers = await BenchServers.create();
  let fleet: BenchFleet | undefined;
  try {
    const server = await servers.start();
    const source = await servers.createDatabase(server, 'source');
    const target = await servers.createDatabase(server, 'target');
    for (const { session } of [source, target]) await session.query(tables);
    await source.session.query(mixedRows(rows));
    await source.session.query('vacuum analyze public.mixed');
    await source.session.query(wideRows);
    const started = await BenchFleet.start(source.url, target.url);
    fleet = started;
    const emptied = () => target.session.query('truncate public.mixed');
    console.log(
      `${rows.toLocaleString('en')} rows of 8 columns, ${runs} pairs after one to warm up; median (min–max)`,
    );
    const { pipe, copy, verify } = await rounds(runs, async () => {
      await emptied();
      const pipe = timePipe(source.url, target.url, 'mixed', 'mixed');
      await emptied();
      return { pipe, ...(await started.run({ tables: ['mixed'] })) };
    });
    console.log(line('psql | psql, binary', `${spread(pipe, 2)} s`));
    console.log(line('rowfleet, one batch at a time', `${spread(copy, 2)} s`));
    console.log(line('rowfleet / pipe', spread(ratios(copy, pipe), 3)));
    console.log(line('standard validation / copying', spread(ratios(verify, copy), 3)));
    console.log(line('loader, peak memory', `${started.loaderPeakMegabytes()} MB`));
    await target.session.query('truncate public.mixed, public.wide');
    await started.run({ tables: ['wide'] });
    console.log(line('the same after rows of 16 MB', `${started.loaderPeakMegabytes()} MB`));
  } finally {
    await fleet?.stop();
    await servers.stop();
  }
}
