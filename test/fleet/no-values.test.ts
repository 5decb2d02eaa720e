import { afterEach, expect, test } from 'vitest';
import { sendRefused } from '../../src/control/quarantine.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { readQuarantined } from '../../src/ledger/read-quarantine.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { ended, type FleetSite, startTestRun, TestFleet } from '../fleet-processes.ts';
import { createLedger } from '../ledger.ts';
import { createDatabase } from '../postgres.ts';

let site: FleetSite;
let ledger: Ledger;
let fleet: TestFleet;

afterEach(async () => {
  await fleet.killAll();
  await ledger.close();
  await site.source.drop();
  await site.target.drop();
});

const secret = 'hunter2-correct-horse';

const mentions = (text: string): boolean =>
  text.includes('hunter2') || text.includes(Buffer.from('hunter2').toString('hex'));

/** Every row of every table in a schema, as text. */
async function textOf(schema: string): Promise<string> {
  const { rows } = await site.target.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = $1 order by 1`,
    [schema],
  );
  expect(rows.length).toBeGreaterThan(3);
  const texts = [];
  for (const { name } of rows) {
    const { rows: found } = await site.target.query<{ text: string | null }>(
      `select string_agg(t::text, E'\n') as text from ${name} t`,
    );
    texts.push(`${name}: ${found[0]!.text ?? ''}`);
  }
  return texts.join('\n');
}

// Each refuses the rows in another way, and PostgreSQL's own message for each would quote the value.
const refusals = {
  conversion: 'note int',
  length: 'note varchar(5)',
  check: "note text check (note !~ 'hunter2')",
  domain: 'note short',
  raised: 'note text check (tell(note))',
  unique: 'note text unique',
  name: 'note text',
  table: 'note regclass',
} as const;

test('no log, error or job shows a value of the rows that were refused', async () => {
  process.env.LOG_LEVEL = 'trace';
  process.env.ROWFLEET_QUARANTINE_KEY = Buffer.alloc(32, 1).toString('base64');
  site = { source: await createDatabase(15), target: await createDatabase(18) };
  await site.target.exec(`
    create domain short as text check (length(value) < 3);
    create function tell(note text) returns boolean language plpgsql as
      'begin raise exception ''refused %'', note using detail = note, hint = note; end';`);
  for (const [name, column] of Object.entries(refusals)) {
    await site.source.exec(`create table "${name}" (id int, note text);
      insert into "${name}" values (1, '${secret}'), (2, '${secret}')`);
    await site.target.exec(`create table "${name}" (id int, ${column})`);
  }
  ledger = await createLedger(site.target);
  fleet = new TestFleet(site);
  fleet.start('scheduler');
  fleet.start('loader');
  fleet.start('validator');

  const planOf = (name: string) => {
    const notes: Record<string, string> = {
      conversion: 's.note::int',
      name: 'quote_ident(s.note)::regclass::text',
    };
    return `
name: ${name}
source: \${SOURCE_DATABASE_URL}
target: \${TARGET_DATABASE_URL}
migration: {max_retries: 0}
flows:
  - {name: ${name}, from: '"${name}" s', to: '"${name}"', columns: {id: s.id, note: '${notes[name] ?? 's.note'}'}}
`;
  };
  const runs: Record<string, string> = {};
  for (const name of Object.keys(refusals)) {
    runs[name] = await startTestRun(ledger, site, planOf(name));
    await ended(ledger, runs[name], name === 'unique' ? 'findings' : 'quarantined');
  }
  const { rows } = await ledger.pool.query(
    `select json_object_agg(relation, code) as codes from (select distinct relation, code from rowfleet.quarantine) q`,
  );
  expect(rows[0].codes).toEqual({
    'public.conversion': '22P02',
    'public.length': '22001',
    'public.check': '23514',
    'public.domain': '23514',
    'public.raised': 'P0001',
    'public.name': '42P01',
    'public.table': '42P01',
  });

  // A row that names what is not there, as a person edited it; and an expression that does, where nothing is copied.
  const [row] = await readQuarantined(ledger.pool, { runId: runs.table! }, sealFrom(process.env));
  const edited = { id: row!.id, at: 'test', targetRows: [{ id: '1', note: `${secret}_edited` }] };
  const sending = { ids: [row!.id], edits: [edited], actor: 'test' };
  await sendRefused(ledger, runs.table!, sending, sealFrom(process.env));
  await ended(ledger, runs.table!, 'quarantined');
  const validation = await startTestRun(ledger, site, planOf('name'), 'validate');
  const { error } = await ended(ledger, validation, 'failed');
  expect(error?.message).toMatch(/: no such table \(SQLSTATE 42P01\)$/);

  const logs = fleet.logs();
  expect(logs).toContain('attempt failed');
  expect(logs).not.toContain('hunter2');
  expect(mentions(await textOf('rowfleet_queue'))).toBe(false);
  // Findings show keys to the operator, and nothing else of the ledger does, since the quarantine is encrypted.
  await ledger.pool.query('delete from rowfleet.finding');
  const remembered = await textOf('rowfleet');
  expect(remembered).toContain('22P02');
  expect(mentions(remembered)).toBe(false);
});
