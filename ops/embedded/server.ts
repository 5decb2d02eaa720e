import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { RowfleetError } from '../../src/errors.ts';
import { type Binaries, findBinaries, type ServerVersion } from './binaries.ts';
import { assertReachable, findRunUser, type RunUser } from './run-user.ts';
import { shutDown } from './stop.ts';

export type { ServerVersion } from './binaries.ts';

export interface ServerOptions {
  version: ServerVersion;
  /** Created when it is missing; a data directory that exists is started again as it is. */
  dataDir: string;
  /** Defaults to a free port. */
  port?: number;
  /** Server settings, as in postgresql.conf. Defaults keep the server on 127.0.0.1. */
  settings?: Record<string, string | number>;
  /** Let the server outlive this process; `stopServer(dataDir)` ends it. Defaults to false. */
  detached?: boolean;
}

export interface EmbeddedServer {
  version: ServerVersion;
  port: number;
  pid: number;
  /** Connects as the superuser `postgres` to the database `postgres`. */
  superuserUrl: string;
  /** A URL of another database, as the superuser or as `user` (with `password` if it has one). */
  urlFor(database: string, user?: string, password?: string): string;
  /** Ends all sessions and the server; does nothing when it has gone already. */
  stop(): Promise<void>;
}

/** Where the superuser's password stands in a data directory, readable by its owner only. */
const passwordFile = (dataDir: string) => join(dataDir, 'superuser.password');

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done, fail) => probe.once('error', fail).listen(0, '127.0.0.1', done));
  const address = probe.address();
  await new Promise((done) => probe.close(done));
  if (address === null || typeof address === 'string') throw new Error('no TCP port');
  return address.port;
}

/** PostgreSQL's own locale provider, the same on every machine, came with 17; before it C is all that is everywhere. */
function localeFlags(version: ServerVersion): string[] {
  if (version < 17) return ['--encoding=UTF8', '--locale=C'];
  return ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
}

async function initialise(
  version: ServerVersion,
  binaries: Binaries,
  dataDir: string,
  user: RunUser,
): Promise<string> {
  const password = randomBytes(18).toString('base64url');
  const handover = `${dataDir}.password`;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await chmod(dataDir, 0o700);
  await writeFile(handover, password, { mode: 0o600 });
  if (user.uid !== undefined && user.gid !== undefined) {
    await chown(dataDir, user.uid, user.gid);
    await chown(handover, user.uid, user.gid);
  }
  const flags = ['--auth=password', '--username=postgres', `--pwfile=${handover}`, '--no-sync'];
  try {
    await promisify(execFile)(binaries.initdb, [`--pgdata=${dataDir}`, ...flags, ...localeFlags(version)], {
      ...user,
      cwd: '/',
    });
    await writeFile(passwordFile(dataDir), password, { mode: 0o600 });
  } catch (error) {
    const stderr = (error as { stderr?: string }).stderr?.trim() || String(error);
    throw new RowfleetError(
      'EMBEDDED_INITDB',
      `initdb of PostgreSQL ${version} failed in ${dataDir}: ${stderr}`,
      {
        hint: 'If libraries are missing, run npm rebuild (an install with --ignore-scripts leaves their links out); if the folder is not empty, remove it.',
        cause: error,
      },
    );
  } finally {
    await rm(handover, { force: true });
  }
  return password;
}

/**
 * Ends the server when the pipe closes, whatever ended the process that holds it: SIGKILL too. A grandchild, so
 * that the server, which takes the shell's place, never sees a child that it did not start.
 */
const tetheredStart = `( { read -r _ <&3; kill -INT $$; } >/dev/null 2>&1 & ) ; exec "$@" 3<&-`;

async function launch(
  postgres: string,
  options: ServerOptions,
  args: string[],
  user: RunUser,
): Promise<{ child: ChildProcess; log: string }> {
  const log = join(options.dataDir, 'server.log');
  const output = await open(log, 'a');
  const tethered = !options.detached && process.platform !== 'win32';
  const command = tethered ? '/bin/sh' : postgres;
  const argv = tethered ? ['-c', tetheredStart, 'sh', postgres, ...args] : args;
  try {
    const child = spawn(command, argv, {
      ...user,
      cwd: '/',
      detached: true, // A session of its own: Ctrl-C in the terminal must not end it under a run that hands work back.
      stdio: ['ignore', output.fd, output.fd, tethered ? 'pipe' : 'ignore'],
    });
    child.unref();
    const tether = child.stdio[3] as (NodeJS.WritableStream & { unref?(): void }) | null;
    tether?.unref?.();
    tether?.on('error', () => {});
    return { child, log };
  } finally {
    await output.close();
  }
}

async function untilReady(url: string, child: ChildProcess, log: string): Promise<void> {
  let spawnError: Error | undefined;
  child.once('error', (error) => {
    spawnError = error;
  });
  const deadline = Date.now() + 60_000;
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      await client.end().catch(() => {});
      if (!spawnError && child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
        await delay(40);
        continue;
      }
      const tail = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n').slice(-5).join('\n');
      throw new RowfleetError('EMBEDDED_START', `the embedded PostgreSQL did not start:\n${tail}`, {
        hint: `Its whole log is ${log}.`,
        cause: spawnError ?? error,
      });
    }
  }
}

/**
 * Starts a PostgreSQL server that npm installed, on loopback only, with a superuser `postgres` and a random password.
 * It ends with `stop()`, and with this process however that ends (unless `detached`).
 *
 * Throws `embedded-missing`, `embedded-root` or `embedded-unreachable` before anything is written,
 * `embedded-initdb` or `embedded-start` with the server's own words.
 */
export async function startServer(options: ServerOptions): Promise<EmbeddedServer> {
  const dataDir = resolve(options.dataDir);
  const { version } = options;
  const user = findRunUser();
  const binaries = findBinaries(version, user);
  assertReachable(dataDir, user);
  const known = await readFile(passwordFile(dataDir), 'utf8').catch(() => undefined);
  const password = known ?? (await initialise(version, binaries, dataDir, user));
  const port = options.port ?? (await freePort());
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    lc_messages: 'C',
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const urlFor: EmbeddedServer['urlFor'] = (database, name = 'postgres', secret) => {
    const own = secret ?? (name === 'postgres' ? password : '');
    const credentials = `${encodeURIComponent(name)}:${encodeURIComponent(own)}`;
    // Said outright, so that no client first asks for TLS, which the server has none of.
    return `postgres://${credentials}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable`;
  };
  const superuserUrl = urlFor('postgres');
  const { child, log } = await launch(
    binaries.postgres,
    { ...options, dataDir },
    ['-D', dataDir, '-p', String(port), ...flags],
    user,
  );
  const stop = async () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      await shutDown(child.pid);
    child.stdio[3]?.destroy();
  };
  try {
    await untilReady(superuserUrl, child, log);
  } catch (error) {
    await stop();
    throw error;
  }
  return { version, port, pid: child.pid!, superuserUrl, urlFor, stop };
}
