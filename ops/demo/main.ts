import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { RowfleetError } from '../../src/errors.ts';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession } from '../../src/pg/session.ts';
import { type EmbeddedServer, startServer } from '../embedded/server.ts';
import { endProcess, stopServer } from '../embedded/stop.ts';
import { createDemoSource, demoPlan } from './source.ts';
import { type DemoWeb, startWeb } from './web.ts';

/** `npm run demo`: the main job on an embedded PostgreSQL, from nothing to "verified". */

interface DemoOptions {
  rows: number;
  redis?: string;
  keep?: boolean;
}

/** One demo per user: a second one begins by clearing the first away. */
const folder = join(tmpdir(), `rowfleet-demo-${userInfo().uid}`);
const dataDir = join(folder, 'postgres');
const environmentFile = join(folder, 'environment.sh');
/** As a person in this folder would name it. */
const planFile = relative('', demoPlan);
const cli = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
const webPidFile = join(folder, 'web.pid');

/** A bulk load's settings; durability stays as it is by default. */
const settings = {
  shared_buffers: '256MB',
  maintenance_work_mem: '128MB',
  max_wal_size: '4GB',
  max_connections: 100,
  jit: 'off',
};

const say = (...lines: string[]): void => console.log(lines.join('\n'));

function readRows(text: string): number {
  const rows = Number(text);
  if (!Number.isInteger(rows) || rows < 1_000 || rows > 1_000_000_000) {
    throw new InvalidArgumentError('a whole number from 1000 to 1000000000 is needed.');
  }
  return rows;
}

/** Ends a demo that was left running, page and server; tells whether there was one. */
async function clearAway(): Promise<boolean> {
  await endProcess(Number(await readFile(webPidFile, 'utf8').catch(() => '')), cli);
  const stopped = await stopServer(dataDir);
  await rm(folder, { recursive: true, force: true });
  return stopped;
}

async function prepare(
  options: DemoOptions,
): Promise<{ server: EmbeddedServer; env: Record<string, string> }> {
  if (await clearAway()) say('cleared an earlier demo away');
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  const server = await startServer({ version: 18, dataDir, settings, detached: options.keep === true });
  say(`PostgreSQL 18 listens on 127.0.0.1:${server.port}`);
  const admin = await openSession(endpointFromUrl(server.superuserUrl), 'rowfleet demo');
  await admin.query('create database source');
  await admin.query('create database target');
  await admin.end();
  const env = {
    SOURCE_DATABASE_URL: server.urlFor('source'),
    TARGET_DATABASE_URL: server.urlFor('target'),
    ...(options.redis === undefined ? {} : { QUEUE_URL: options.redis }),
  };
  // Holds the password of a server on loopback that dies with the demo; only this user can read it.
  await writeFile(
    environmentFile,
    Object.entries(env)
      .map(([k, v]) => `export ${k}='${v}'\n`)
      .join(''),
    { mode: 0o600 },
  );
  const started = performance.now();
  const session = await openSession(endpointFromUrl(env.SOURCE_DATABASE_URL), 'rowfleet demo');
  const tables = await createDemoSource(session, { rows: options.rows });
  await session.end();
  const rows = Object.values(tables).reduce((sum, n) => sum + n, 0);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(
    `source made in ${seconds} s: ${rows.toLocaleString('en')} rows in ${Object.keys(tables).length} tables`,
    '',
  );
  return { server, env };
}

const migrate = (env: Record<string, string>): ChildProcess =>
  spawn(process.execPath, ['--import', 'tsx', cli, 'migrate', '-c', planFile, '--no-next'], {
    env: { ...process.env, ...env },
    stdio: 'inherit',
  });

const exitOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1))),
  );

function showAround(webUrl: string | undefined): void {
  say(
    '',
    'look around:',
    `  . ${environmentFile}`,
    `  npm run -s rowfleet -- status -c ${planFile}`,
    '  psql "$TARGET_DATABASE_URL" -c "select kind, count(*) from unified_chunks group by kind"',
    ...(webUrl === undefined ? [] : [`  ${webUrl}   the runs, the queues, the metrics`]),
  );
}

/** Starts the page and remembers its process, so that the next demo can end it whatever became of this one. */
async function openPage(env: Record<string, string>): Promise<DemoWeb | undefined> {
  const web = await startWeb(cli, env);
  if (web?.child.pid !== undefined) await writeFile(webPidFile, String(web.child.pid));
  return web;
}

/** Keeps server and page up until Ctrl-C. */
async function stayUp(env: Record<string, string>): Promise<void> {
  const asked = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  const web = await openPage(env);
  showAround(web?.url);
  say('', 'Ctrl-C ends the demo.');
  await asked;
  if (web === undefined) return;
  web.child.kill('SIGTERM');
  await exitOf(web.child);
}

async function demo(options: DemoOptions): Promise<number> {
  const { server, env } = await prepare(options);
  // Ctrl-C goes to the whole terminal: the migration takes it, and this process waits for what it says.
  const wait = () => {};
  process.on('SIGINT', wait);
  const code = await exitOf(migrate(env));
  process.off('SIGINT', wait);
  if (options.keep === true) {
    const web = await openPage(env);
    web?.child.unref();
    showAround(web?.url);
    say('', `it stays up: \`npm run demo -- --stop\` ends it`);
    return code;
  }
  if (code === 0 && process.stdout.isTTY) await stayUp(env);
  await server.stop();
  await rm(folder, { recursive: true, force: true });
  return code;
}

const program = new Command('demo')
  .description('Moves a generated database into a new shape, on an embedded PostgreSQL, and proves it.')
  .option('--rows <number>', 'rows in the source, about', readRows, 1_000_000)
  .option('--redis <url>', 'keep the queue in this Redis instead of the target database')
  .option('--keep', 'leave server and page running in the background')
  .option('--stop', 'end a demo that was left running')
  .action(async (options: DemoOptions & { stop?: boolean }) => {
    if (options.stop === true) {
      say((await clearAway()) ? 'the demo has ended' : 'no demo is running');
      return;
    }
    process.exitCode = await demo(options);
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(`error: ${(error as Error).message}`);
  if (error instanceof RowfleetError && error.hint !== undefined) console.error(`  → ${error.hint}`);
  process.exitCode = 1;
}
