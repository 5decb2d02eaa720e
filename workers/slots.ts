import { sqlStates } from '../src/pg/sql-states.ts';
import {
  afterTrouble,
  initialSlots,
  nextSlots,
  type SlotRange,
  type SlotState,
  type SlotStep,
} from './slot-policy.ts';

/** Milliseconds between two readings, and between the looks at whether the process is busy. */
const readEveryMs = 5_000;
const lookEveryMs = 500;

/** Too many connections, locks that were not granted in time, memory: fewer at once may be taken. */
const troubles = new Set([
  sqlStates.insufficientResources,
  sqlStates.outOfMemory,
  sqlStates.tooManyConnections,
  sqlStates.configurationLimitExceeded,
  sqlStates.lockNotAvailable,
  'LOCK_NOT_AVAILABLE',
  'EMFILE',
  'ENFILE',
]);

/** Attempts under way fail together: what they fail of counts once. */
const onceInMs = 5_000;

/** Looks of a minute: the quickest answer shows what the target takes when it is well. */
const looksOfMinute = 120;

/** What is seen of a process. */
export interface SlotSite {
  /** Attempts that are under way. */
  attempts: { size: number };
  /** Milliseconds that the target took to answer the last heartbeat. */
  latencyMs: number;
}

/**
 * How many tasks of a kind a loader does at the same time: between a floor and a ceiling, as many as the servers can
 * take. Its pools follow: a session is opened when a slot first needs one, and closed after half a minute without use.
 */
export class Slots {
  readonly #site: SlotSite;
  readonly #range: SlotRange;
  readonly #change: (slots: number, reason: string) => void;
  #state: SlotState;
  #bytes = 0;
  #looks: { busy: boolean; latencyMs: number }[] = [];
  #latencies: number[] = [];
  #readAt = Date.now();
  #troubleAt = 0;

  /** `change` makes so many slots of them, from now on. */
  constructor(site: SlotSite, range: SlotRange, change: (slots: number, reason: string) => void) {
    this.#site = site;
    this.#range = range;
    this.#change = change;
    this.#state = initialSlots(range);
  }

  /** Looks and reads again and again, until `signal`. */
  watch(signal: AbortSignal): void {
    const looking = setInterval(() => this.look(), lookEveryMs);
    const reading = setInterval(() => this.read(), readEveryMs);
    for (const timer of [looking, reading]) timer.unref();
    signal.addEventListener('abort', () => [looking, reading].forEach(clearInterval), { once: true });
  }

  /** Hears of bytes that passed. */
  moved(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Hears of what an attempt failed of: SQLSTATE, or rowfleet's or Node's own code. */
  hear(code: string, now = Date.now()): void {
    if (!troubles.has(code) || now - this.#troubleAt < onceInMs) return;
    this.#troubleAt = now;
    this.#take(afterTrouble(this.#state, this.#range, code));
  }

  /** Looks whether every slot has something to do. */
  look(): void {
    const { attempts, latencyMs } = this.#site;
    this.#looks.push({ busy: attempts.size >= this.#state.slots, latencyMs });
    this.#latencies.push(latencyMs);
    if (this.#latencies.length > looksOfMinute) this.#latencies.shift();
  }

  /** Judges what was seen since the last reading. */
  read(now = Date.now()): void {
    const looks = this.#looks;
    if (looks.length === 0) return;
    const seconds = Math.max(0.001, (now - this.#readAt) / 1000);
    const byLatency = looks.map(({ latencyMs }) => latencyMs).toSorted((a, b) => a - b);
    const reading = {
      busy: looks.filter(({ busy }) => busy).length >= 0.8 * looks.length,
      bytesPerSecond: this.#bytes / seconds,
      // The median: one answer that was late is no sign.
      latencyMs: byLatency[Math.floor(byLatency.length / 2)]!,
      usualLatencyMs: Math.min(...this.#latencies),
    };
    this.#looks = [];
    this.#bytes = 0;
    this.#readAt = now;
    this.#take(nextSlots(this.#state, reading, this.#range));
  }

  #take({ state, reason }: SlotStep): void {
    this.#state = state;
    if (reason !== null) this.#change(state.slots, reason);
  }
}
