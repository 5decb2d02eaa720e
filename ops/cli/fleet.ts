import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** What a fleet is made of. */
export interface FleetOptions {
  /** Loader processes. With none there is no validator either: a scheduler alone, enough to cancel a run. */
  loaders: number;
  /** Batches that each loader copies at once. Defaults to what LOADER_CONCURRENCY says, else 2. */
  concurrency?: number;
  /** Environment of the processes besides this one's: where target, source and queue are. */
  env: Record<string, string>;
  /** Milliseconds between SIGTERM and SIGKILL; more than a worker takes to leave. Defaults to 15_000. */
  graceMs?: number;
}

/** A fleet of child processes that ends with this process, whatever ends it. */
export interface Fleet {
  /** Kinds of processes that it is made of. */
  kinds: number;
  /** Folder of the processes' logs, one file each. */
  logs: string;
  /** Resolves with the reason when the fleet cannot work any more: a member it needs ends again and again. */
  broken: Promise<string>;
  /** Ends the processes in good order: SIGTERM, and SIGKILL after the grace period. */
  stop(): Promise<void>;
  /** Ends them at once. What they were copying rolls back. */
  kill(): void;
}

interface Member {
  name: string;
  args: string[];
  /** Restarts since it last ran for long enough to be called healthy. */
  restarts: number;
  child?: ChildProcess;
  timer?: NodeJS.Timeout;
}

const healthyAfterMs = 30_000;
const restartsBeforeGivingUp = 5;
const usageExit = 2;

/** The command that runs this CLI again: compiled as it is, from source through tsx. */
function cliCommand(): string[] {
  const fromSource = import.meta.url.endsWith('.ts');
  const entry = fileURLToPath(new URL(fromSource ? './main.ts' : './main.js', import.meta.url));
  if (!fromSource) return [entry];
  return ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href, entry];
}

function members(options: FleetOptions): Member[] {
  const loader = (_: unknown, i: number): Member => ({
    name: `loader-${i + 1}`,
    args: [
      'loader',
      ...(options.concurrency === undefined ? [] : ['--concurrency', String(options.concurrency)]),
    ],
    restarts: 0,
  });
  const scheduler: Member = { name: 'scheduler', args: ['scheduler'], restarts: 0 };
  if (options.loaders === 0) return [scheduler];
  const validator: Member = { name: 'validator', args: ['validator'], restarts: 0 };
  return [scheduler, ...Array.from({ length: options.loaders }, loader), validator];
}

/** The last error that a process printed for people, in brackets; empty where it printed none. */
function lastError(log: string): string {
  const errors = readFileSync(log, 'utf8').match(/^error: .*$/gm);
  return errors === null ? '' : ` (${errors.at(-1)})`;
}

function gone(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

/**
 * Starts a scheduler, loaders and a validator as child processes of this one. They have no terminal, so that
 * Ctrl-C reaches them only through `stop`, and a pipe to this process whose end ends them. One that dies is
 * started again, with a pause that grows from half a second.
 */
export function startFleet(options: FleetOptions): Fleet {
  const logs = mkdtempSync(join(tmpdir(), 'rowfleet-'));
  const all = members(options);
  let stopping = false;
  let reportBroken: (reason: string) => void = () => {};
  const broken = new Promise<string>((resolve) => {
    reportBroken = resolve;
  });

  const giveUp = (member: Member, how: string) => {
    const others = all.some(
      (one) => one !== member && one.args[0] === member.args[0] && one.child !== undefined,
    );
    if (others) return;
    const log = join(logs, `${member.name}.log`);
    reportBroken(`the ${member.name} ended with ${how}${lastError(log)}; its log is ${log}`);
  };

  const start = (member: Member) => {
    const log = openSync(join(logs, `${member.name}.log`), 'a');
    const child = spawn(process.execPath, [...cliCommand(), ...member.args], {
      stdio: ['ignore', log, log, 'ipc'],
      detached: true, // A process group of its own: the terminal's Ctrl-C does not reach it.
      env: { ...process.env, ...options.env },
    });
    closeSync(log);
    const startedAt = Date.now();
    member.child = child;
    child.once('exit', (code, signal) => {
      member.child = undefined;
      if (stopping) return;
      if (Date.now() - startedAt >= healthyAfterMs) member.restarts = 0;
      if (code === usageExit || member.restarts >= restartsBeforeGivingUp) {
        giveUp(member, signal ?? `exit code ${code}`);
        return;
      }
      member.timer = setTimeout(start, Math.min(10_000, 500 * 2 ** member.restarts), member);
      member.restarts++;
    });
  };

  const signalAll = (signal: NodeJS.Signals) => {
    stopping = true;
    for (const member of all) {
      clearTimeout(member.timer);
      member.child?.kill(signal);
    }
  };
  const kill = () => signalAll('SIGKILL');
  // A parent that ends without `stop` takes its fleet along; when it is killed, the closing pipe does.
  process.once('exit', kill);
  for (const member of all) start(member);

  return {
    kinds: new Set(all.map(({ args }) => args[0])).size,
    logs,
    broken,
    kill,
    async stop() {
      signalAll('SIGTERM');
      const late = setTimeout(kill, options.graceMs ?? 15_000);
      await Promise.all(all.map((member) => gone(member.child)));
      clearTimeout(late);
      process.removeListener('exit', kill);
    },
  };
}
