import { BenchFleet } from './fleet.ts';
import { requirePsql, timePipe } from './pipe.ts';
import { BenchServers } from './servers.ts';
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
    from generate_series(1, ${rows}) i;
  vacuum analyze`;

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

/** Two fleets, each with a target of its own: no loader stands by while the other number of them is measured. */
export async function benchRestructuring({ rows, runs }: { rows: number; runs: number }): Promise<void> {
  requirePsql();
  const servers = await BenchServers.create();
  const fleets: BenchFleet[] = [];
  try {
    const server = await servers.start();
    const source = await servers.createDatabase(server, 'source');
    const target = await servers.createDatabase(server, 'target');
    const second = await servers.createDatabase(server, 'target_of_two');
    await source.session.query(sourceTables);
    for (const statement of sourceRows(rows).split(';')) await source.session.query(statement);
    for (const { session } of [target, second]) await session.query(targetTable);
    const one = await BenchFleet.start(source.url, target.url);
    fleets.push(one);
    const two = await BenchFleet.start(source.url, second.url, 2);
    fleets.push(two);
    const query = `(select ${Object.values(columns).join(', ')} from purchase p ${join})`;
    console.log(
      `${rows.toLocaleString('en')} rows joined, 8 columns out, ${runs} rounds after one to warm up; median (min–max)`,
    );
    const seconds = await rounds(runs, async () => {
      for (const { session } of [target, second]) await session.query('truncate public.invoice');
      const pipe = timePipe(source.url, target.url, query, 'invoice');
      await target.session.query('truncate public.invoice');
      const alone = (await one.run({ flows })).copy;
      return { pipe, alone, both: (await two.run({ flows })).copy };
    });
    console.log(line('psql | psql, the same SELECT, binary', `${spread(seconds.pipe, 2)} s`));
    console.log(line('rowfleet, one loader', `${spread(seconds.alone, 2)} s`));
    console.log(line('rowfleet, two loaders', `${spread(seconds.both, 2)} s`));
    console.log(line('one loader / pipe', spread(ratios(seconds.alone, seconds.pipe), 3)));
    console.log(line('two loaders / pipe', spread(ratios(seconds.both, seconds.pipe), 3)));
  } finally {
    for (const fleet of fleets) await fleet.stop();
    await servers.stop();
  }
}
