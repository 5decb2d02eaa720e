import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { available, redisServer } from './requirements.ts';

/** Whether this machine has a redis-server; suites ask through `describeWith('redis', …)`. */
export const redisAvailable = (): boolean => available('redis');

export interface RedisServer {
  url: string;
  port: number;
  /** SIGKILL: as a crash. */
  kill(): Promise<void>;
  /** Kills it and starts an empty one on the same port. */
  restartEmpty(): Promise<void>;
  /** FLUSHALL. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

/** A TCP port on loopback that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const address = probe.address();
  await new Promise((done) => probe.close(done));
  if (address === null || typeof address === 'string') throw new Error('no TCP port');
  return address.port;
}

async function answers(port: number): Promise<boolean> {
  const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    client.disconnect();
  }
}

async function launch(port: number, dir: string): Promise<ChildProcess> {
  const args = [
    '--bind',
    '127.0.0.1',
    '--port',
    String(port),
    '--dir',
    dir,
    '--save',
    '',
    '--appendonly',
    'no',
  ];
  const child = spawn(redisServer, args, { stdio: 'ignore' });
  child.on('error', () => {});
  for (const deadline = Date.now() + 15_000; Date.now() < deadline; await delay(20)) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    if (await answers(port)) return child;
  }
  child.kill('SIGKILL');
  throw new Error(`${redisServer} did not start on port ${port}`);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await gone;
}

/** Starts a real redis-server on loopback, without persistence. `dir` defaults to a temporary folder of its own. */
export async function startRedis(options: { port?: number; dir?: string } = {}): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'rowfleet-redis-')));
  let child = await launch(port, dir);
  const reap = () => child.kill('SIGKILL');
  process.on('exit', reap);
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill: () => end(child, 'SIGKILL'),
    async restartEmpty() {
      await end(child, 'SIGKILL');
      child = await launch(port, dir);
    },
    async flush() {
      const redis = new Redis(port, '127.0.0.1');
      await redis.flushall();
      redis.disconnect();
    },
    async stop() {
      await end(child, 'SIGTERM');
      process.off('exit', reap);
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
    },
  };
}
