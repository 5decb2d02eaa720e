import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SoakSite } from './site.ts';

type Kind = 'scheduler' | 'loader' | 'validator';

/** One place of the fleet: a process, and whoever takes its place when it is killed. */
export interface Place {
  name: string;
  kind: Kind;
  /** Never killed, but behind the network, whatever that does: it shows what a long life does to a process. */
  elder: boolean;
  child: ChildProcess;
  startedAt: number;
}

const places: { name: string; kind: Kind; elder: boolean }[] = [
  { name: 'scheduler', kind: 'scheduler', elder: false },
  { name: 'elder scheduler', kind: 'scheduler', elder: true },
  { name: 'loader', kind: 'loader', elder: false },
  { name: 'other loader', kind: 'loader', elder: false },
  { name: 'elder loader', kind: 'loader', elder: true },
  { name: 'validator', kind: 'validator', elder: false },
  { name: 'elder validator', kind: 'validator', elder: true },
];

/** A process that cannot reach its servers when it starts may say so and leave. */
const mayLeaveWithinMs = 40_000;

/** The processes of a soak, each started again when it ends, as a supervisor of ops would. */
export class SoakFleet {
  readonly logs = mkdtempSync(join(tmpdir(), 'rowfleet-soak-'));
  readonly places: Place[];
  /** Processes that ended without having been asked to. */
  readonly deserters: string[] = [];
  readonly #site: SoakSite;
  readonly #cli: string;
  readonly #asked = new WeakSet<ChildProcess>();
  #over = false;

  constructor(site: SoakSite, cli: string) {
    this.#site = site;
    this.#cli = cli;
    this.places = places.map((place) => ({ ...place, child: this.#start(place), startedAt: Date.now() }));
  }

  /** Sends a signal to the process of a place. */
  signal(place: Place, signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL' || signal === 'SIGTERM') this.#asked.add(place.child);
    place.child.kill(signal);
  }

  /** Resident memory of the process of a place, in MB. */
  memoryOf(place: Place): number {
    return (
      Number(execFileSync('ps', ['-o', 'rss=', '-p', String(place.child.pid)], { encoding: 'utf8' })) / 1024
    );
  }

  async end(): Promise<void> {
    this.#over = true;
    const gone = this.places.map(({ child }) =>
      child.exitCode !== null || child.signalCode !== null
        ? undefined
        : new Promise((resolve) => child.once('exit', resolve)),
    );
    for (const { child } of this.places) {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
    }
    await Promise.all(gone);
  }

  #start({ name, kind, elder }: { name: string; kind: Kind; elder: boolean }): ChildProcess {
    const log = openSync(join(this.logs, `${name}.log`), 'a');
    const child = spawn(process.execPath, [this.#cli, kind], {
      env: this.#site.environment(elder ? 'behind the network' : 'direct'),
      stdio: ['ignore', log, log, 'ipc'], // The pipe takes the process along when this one ends.
    });
    closeSync(log);
    child.once('exit', (code, signal) => this.#replace(name, child, signal ?? `exit code ${code}`));
    return child;
  }

  #replace(name: string, child: ChildProcess, how: string): void {
    if (this.#over) return;
    const place = this.places.find((candidate) => candidate.name === name)!;
    const isYoung = Date.now() - place.startedAt < mayLeaveWithinMs;
    if (!this.#asked.has(child) && !(isYoung && how === 'exit code 1'))
      this.deserters.push(`${name}: ${how}`);
    setTimeout(() => {
      if (this.#over) return;
      place.child = this.#start(place);
      place.startedAt = Date.now();
    }, 500);
  }
}
