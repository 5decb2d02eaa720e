import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import pg from 'pg';
import type { ServerVersion } from '../ops/embedded/server.ts';
import { ident } from '../src/pg/quote.ts';
import { createDatabase, onServer, type TestDatabase } from './postgres.ts';
import { samplesFolder } from './requirements.ts';

/** The public sample databases that tests copy; suites ask for them through `describeWith('samples', …)`. */
export type SampleName = 'pagila' | 'chinook';

/** A piece of a pg_dump file: statements, or one COPY with its rows as the server takes them. */
type Piece = { sql: string; rows?: Buffer };

const copyBegin = /^COPY .* FROM stdin;$/;

function splitDump(dump: string): Piece[] {
  const pieces: Piece[] = [];
  let rest = dump.split('\n');
  while (rest.length > 0) {
    const begin = rest.findIndex((line) => copyBegin.test(line));
    if (begin < 0) return [...pieces, { sql: rest.join('\n') }];
    const end = rest.indexOf('\\.', begin);
    pieces.push({ sql: rest.slice(0, begin).join('\n') });
    pieces.push({
      sql: rest[begin]!,
      rows: Buffer.from(
        rest
          .slice(begin + 1, end)
          .map((row) => `${row}\n`)
          .join(''),
      ),
    });
    rest = rest.slice(end + 1);
  }
  return pieces;
}

/** What pg gives a query object of one's own to talk to the server with. */
interface Wire {
  query(sql: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** Loads rows with COPY FROM stdin. The tests' own, so that no code of the copy under test fills their source. */
function copyIn(client: pg.Client, sql: string, rows: Buffer): Promise<void> {
  return new Promise((done, fail) => {
    const submittable = {
      submit: (wire: Wire) => wire.query(sql),
      handleCopyInResponse(wire: Wire) {
        wire.sendCopyFromChunk(rows);
        wire.endCopyFrom();
      },
      handleCommandComplete() {},
      handleError: fail,
      handleReadyForQuery: () => done(),
    };
    client.query(submittable as unknown as pg.Submittable);
  });
}

async function readDump(file: string): Promise<string> {
  return String(await promisify(gunzip)(await readFile(join(samplesFolder, file))));
}

/** The owner makes the objects; the superuser loads, because DISABLE TRIGGER ALL is not for owners. */
async function load(database: TestDatabase, sample: SampleName): Promise<void> {
  const client = new pg.Client(database.superuserUrl);
  await client.connect();
  try {
    await client.query('set role app');
    await client.query(await readDump(`${sample}-schema.sql.gz`));
    await client.query('reset role');
    for (const piece of splitDump(await readDump(`${sample}-data.sql.gz`))) {
      if (piece.rows) await copyIn(client, piece.sql, piece.rows);
      else await client.query(piece.sql);
    }
    const views = await client.query<{ name: string }>(
      `select c.oid::regclass::text name from pg_class c where relkind = 'm' order by c.oid`,
    );
    for (const { name } of views.rows) await client.query(`refresh materialized view ${name}`);
  } finally {
    await client.end();
  }
}

const templates = new Map<string, Promise<string>>();

/** Loads a sample once for each process of the test run. */
async function findTemplate(
  version: ServerVersion,
  sample: SampleName,
  part: 'full' | 'schema',
): Promise<string> {
  const database = await createDatabase(version);
  if (part === 'full') await load(database, sample);
  else await database.exec(await readDump(`${sample}-schema.sql.gz`));
  await database.close();
  await onServer(version, `alter database ${ident(database.name)} with allow_connections false`);
  return database.name;
}

async function clone(
  version: ServerVersion,
  sample: SampleName,
  part: 'full' | 'schema',
): Promise<TestDatabase> {
  const key = `${version} ${sample} ${part}`;
  const template = templates.get(key) ?? findTemplate(version, sample, part);
  templates.set(key, template);
  return createDatabase(version, { template: await template });
}

/** A database with the whole sample: schema, rows, refreshed materialized views. */
export const createSample = (version: ServerVersion, sample: SampleName): Promise<TestDatabase> =>
  clone(version, sample, 'full');

/** A database with the sample's schema and no rows: a target of the same shape. */
export const createEmptySample = (version: ServerVersion, sample: SampleName): Promise<TestDatabase> =>
  clone(version, sample, 'schema');
