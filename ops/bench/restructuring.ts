import type { Session } from '../../src/pg/session.ts';
import { BenchFleet } from './fleet.ts';
import { requirePsql, timePipe } from './pipe.ts';
import { type BenchSite, withBenchSite } from './site.ts';
import { line, ratios, rounds, spread } from './spread.ts';

/** A restructuring that the source computes (a join, expressions, jsonb, casts), against the same SELECT through a pipe of two psql. */

const sourceTables = `
  create table customer (id int primary key, name text, email text, country char(2), settings jsonb);
  create table purchase (
    id int primary key, customer_id int, number text, cents bigint, currency char(3), at timestamp, state text, body jsonb)`;

const sourceRows = (rows: number) => `
  insert into customer
  select i, 'Customer ' || i, 'C' || i || '@Example.com', (array['DE', 'FR', 'PL'])[1 + i % 3],
         jsonb_build_object('language', 'de', 'newsletter', i % 2 = 0)
    from generate_series(1, ${Math.ceil(rows / 20)}) i;
  insert into purchase
  select i, 1 + i % ${Math.ceil(rows / 20)}, 'R-' || lpad(i::text, 8, '0'), i % 100000, 'EUR',
         timestamp '2024-01-01' + i * interval '1 second', (array['open', 'paid', 'sent'])[1 + i % 3],
         jsonb_build_object('n', i, 'tags', jsonb_build_array('a', i % 7), 'note', repeat('note ', i % 9))
    from generate_series(1, ${rows}) i`;

const targetTable = `
  create table invoice (
    id bigint, number text, email text, amount numeric(12, 2), issued_at timestamptz, paid boolean, details jsonb, day date)`;

const join = 'join customer c on c.id = p.customer_id';

/** Target column: expression of its very type, so that both sides of the comparison may go in binary. */
const columns = {
  id: 'p.id::bigint',
  number: "upper(p.currency) || '-' || substr(p.number, 3)",
  email: 'lower(btrim(c.email))',
  amount: '(p.cents / 100.0)::numeric(12, 2)',
  issued_at: "p.at at time zone 'Europe/Berlin'",
  paid: "p.state in ('paid', 'sent')",
  details:
    "p.body - 'note' || jsonb_build_object('country', c.country::text, 'newsletter', c.settings -> 'newsletter')",
  day: 'p.at::date',
};

const flows = [{ name: 'invoices', from: 'purchase p', join, to: 'invoice', columns }];

async function fill(source: Session, targets: Session[], rows: number): Promise<void> {
  await source.query(sourceTables);
  await source.query(sourceRows(rows));
  await source.query('vacuum analyze');
  for (const target of targets) await target.query(targetTable);
}

/** What the pipe is held against: how many loaders, and how many batches each copies at once; two is what a loader does by itself. */
const crews = {
  alone: { words: 'one loader, one batch at a time', loaders: 1, concurrency: 1 },
  plain: { words: 'one loader, two at a time', loaders: 1, concurrency: 2 },
  both: { words: 'two loaders, one at a time each', loaders: 2, concurrency: 1 },
};
const names = Object.keys(crews) as (keyof typeof crews)[];

/** Fleets with a target of their own each: no loader stands by while the others are measured. */
async function measure(site: BenchSite, rows: number, runs: number): Promise<void> {
  const { sourceUrl, targetUrl, source, target } = site;
  const targets = await Promise.all(names.map((name) => site.createDatabase(`target_of_${name}`)));
  await fill(source, [target, ...targets.map(({ session }) => session)], rows);
  const fleets: BenchFleet[] = [];
  try {
    for (const [i, name] of names.entries())
      fleets.push(await BenchFleet.start(sourceUrl, targets[i]!.url, crews[name]));
    const query = `(select ${Object.values(columns).join(', ')} from purchase p ${join})`;
    console.log(
      `${rows.toLocaleString('en')} rows joined, 8 columns out, ${runs} rounds after one to warm up; median (min–max)`,
    );
    const figures = await rounds(runs, async () => {
      for (const { session } of [{ session: target }, ...targets])
        await session.query('truncate public.invoice');
      const seconds = { pipe: timePipe(sourceUrl, targetUrl, query, 'invoice') } as Record<Timed, number>;
      for (const [i, name] of names.entries()) seconds[name] = (await fleets[i]!.run({ flows })).copy;
      return seconds;
    });
    print(figures);
  } finally {
    for (const fleet of fleets) await fleet.stop();
  }
}

type Timed = 'pipe' | keyof typeof crews;

function print(seconds: Record<Timed, number[]>): void {
  console.log(line('psql | psql, the same SELECT, binary', `${spread(seconds.pipe, 2)} s`));
  for (const name of names) console.log(line(crews[name].words, `${spread(seconds[name], 2)} s`));
  for (const name of names)
    console.log(line(`${crews[name].words} / pipe`, spread(ratios(seconds[name], seconds.pipe), 3)));
}

/** Times `runs` rounds over `rows` rows on an embedded server of its own, and prints what came out. */
export async function benchRestructuring({ rows, runs }: { rows: number; runs: number }): Promise<void> {
  requirePsql();
  await withBenchSite((site) => measure(site, rows, runs));
}
