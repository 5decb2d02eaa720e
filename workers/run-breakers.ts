import { ConsecutiveBreaker, CountBreaker } from 'cockatiel';
import {
  type AttemptResult,
  endWaits,
  hasOpenTask,
  isTrying,
  letNoneThrough,
  letOneThrough,
  readAttemptResults,
} from '../src/ledger/breakers.ts';
import type { RecordedFailure } from '../src/ledger/fail-task.ts';
import { liftHold, putHold, readHolds } from '../src/ledger/holds.ts';
import type { Queryable } from '../src/ledger/ledger.ts';
import { recordEvent } from '../src/ledger/runs.ts';
import type { Endpoint } from '../src/pg/endpoint.ts';
import { safeMessage } from '../src/pg/errors.ts';
import { classify, failureCode } from '../src/pg/failure-class.ts';
import { originOf } from '../src/pg/origin.ts';
import { openSession } from '../src/pg/session.ts';
import { Circuit } from './circuit.ts';

/** How far back results are read: commits come in later than the times they carry. */
const lookBackSeconds = 10;

/** Milliseconds between the probes of a server, and between the batches that are let through. */
const probeEveryMs = { server: 5_000, batch: 15_000 };

/** Attempts in a row that must fail of a server before the run is held. */
const serverFailures = 5;

/** More than half of this many attempts, and of at least half as many. */
const ratioOf = 20;

/** What a run's breakers work with. */
export interface BreakerSite {
  runId: string;
  source: Endpoint;
  target: Endpoint;
  ledger: Queryable;
  /** Runs ledger writes that belong together, as the leader. */
  write(fn: (on: Queryable) => Promise<void>): Promise<void>;
}

type Cause = 'source' | 'target' | 'failures';

/** The server does not answer, or takes no session. What else is waited for (a full disk, say) shows in the ratio. */
const isUnreachable = (failure: RecordedFailure): boolean =>
  failure.class === 'wait' && !/^(25|40|53100|55|58|72|HV)/.test(failure.code);

async function answers(endpoint: Endpoint): Promise<void> {
  const session = await openSession(endpoint, 'rowfleet probe');
  await session.query('select 1').finally(() => session.end().catch(() => {}));
}

/**
 * The circuit breakers of one run. Each opens on what attempts came to: one for each server, after five failures in a
 * row, and one for the ratio of failures that neither halving nor cornering mends. An open one holds the run, with
 * the number behind it, until its probe succeeds; that of the source only once the scheduler finds it silent too.
 */
export class RunBreakers {
  readonly #site: BreakerSite;
  readonly #every: typeof probeEveryMs;
  readonly #circuits: Record<Cause, Circuit>;
  readonly #ratio = new CountBreaker({ threshold: 0.5, size: ratioOf, minimumNumberOfCalls: ratioOf / 2 });
  readonly #seen = new Map<string, number>();
  readonly #held = new Set<Cause>();
  /** One task is to show whether the run can go on; it is chosen at the next look. */
  #trial: { taskId?: string; settle: (failure: string | null) => void } | undefined;
  /** What closed the breaker of failures. */
  #better = '';
  #restored = false;

  constructor(site: BreakerSite, every = probeEveryMs) {
    this.#site = site;
    this.#every = every;
    this.#circuits = {
      // Workers whose way to the source is another one than the scheduler's are in trouble of their own.
      source: this.#server(site.source, true),
      target: this.#server(site.target, false),
      failures: new Circuit(this.#ratio, () => this.#trialOfOne(), every.batch),
    };
  }

  #server(endpoint: Endpoint, isDoubted: boolean): Circuit {
    const breaker = new ConsecutiveBreaker(serverFailures);
    return new Circuit(breaker, () => answers(endpoint), this.#every.server, isDoubted);
  }

  /** One look: hears what attempts came to, holds the run or lets it go on, and begins the probes that are due. */
  async look(): Promise<void> {
    await this.#restore();
    for (const result of await this.#news()) await this.#hear(result);
    for (const [cause, circuit] of Object.entries(this.#circuits) as [Cause, Circuit][]) {
      if (circuit.isOpen && !this.#held.has(cause)) await this.#hold(cause, circuit);
      if (!circuit.isOpen && this.#held.has(cause)) await this.#lift(cause);
      circuit.probe();
    }
    await this.#tryOne();
  }

  /** Hears of trouble that the scheduler itself had with the source. */
  async trouble(error: unknown): Promise<void> {
    const failure = {
      class: classify(error, 'source'),
      code: failureCode(error),
      message: safeMessage(error),
    };
    const isOfSource = originOf(error) === this.#site.source;
    if (isOfSource && isUnreachable(failure)) await this.#circuits.source.hear(failure.message);
  }

  /** What an earlier leader held goes on being held until a probe of this one succeeds. */
  async #restore(): Promise<void> {
    if (this.#restored) return;
    for (const hold of await readHolds(this.#site.ledger, this.#site.runId)) {
      if (hold.kind !== 'breaker') continue;
      const cause = hold.cause as Cause;
      await this.#circuits[cause].open(hold.reason);
      this.#held.add(cause);
    }
    this.#restored = true;
  }

  async #news(): Promise<AttemptResult[]> {
    const results = await readAttemptResults(this.#site.ledger, this.#site.runId, lookBackSeconds);
    const fresh = results.filter(({ taskId, number }) => !this.#seen.has(`${taskId}-${number}`));
    for (const { taskId, number, at } of fresh) this.#seen.set(`${taskId}-${number}`, at.getTime());
    const newest = results.at(-1)?.at.getTime() ?? 0;
    for (const [key, at] of this.#seen) if (at < newest - 2 * lookBackSeconds * 1000) this.#seen.delete(key);
    return fresh;
  }

  async #hear({ taskId, failure, at }: AttemptResult): Promise<void> {
    const { source, target, failures } = this.#circuits;
    if (this.#trial?.taskId === taskId) {
      if (failure !== null) await this.#site.write((on) => letNoneThrough(on, this.#site.runId));
      this.#endTrial(failure?.message ?? null);
    }
    if (failure === null) {
      for (const circuit of [source, target, failures]) await circuit.hear(null);
    } else if (isUnreachable(failure)) {
      if (failure.side !== undefined) await this.#circuits[failure.side].hear(failure.message, at.getTime());
    } else if (
      (failure.class === 'wait' || failure.class === 'shrink') &&
      failure.tooManyBlocks === undefined
    ) {
      await failures.hear(failure.message, at.getTime());
    }
  }

  #reason(cause: Cause, { streak }: Circuit): string {
    const seconds = Math.max(1, Math.round((Date.now() - streak.since) / 1000));
    if (cause === 'failures') {
      const { failures, successes } = this.#ratio.state as { failures: number; successes: number };
      const ratio = `${failures} of the last ${failures + successes} attempts failed`;
      return `${ratio}, the last one of: ${streak.last}; one is let through every ${this.#every.batch / 1000} s`;
    }
    const tried = `${streak.failures} attempts failed in ${seconds} s, the last one of: ${streak.last}`;
    return `${cause} ${this.#site[cause].label} does not answer: ${tried}; probing every ${this.#every.server / 1000} s`;
  }

  async #hold(cause: Cause, circuit: Circuit): Promise<void> {
    const { runId, write } = this.#site;
    const reason = this.#reason(cause, circuit);
    await write(async (on) => {
      await putHold(on, { runId, kind: 'breaker', cause, reason });
      await recordEvent(on, runId, 'scheduler', `held: ${reason}`);
    });
    this.#held.add(cause);
  }

  async #lift(cause: Cause): Promise<void> {
    const { runId, write } = this.#site;
    await write(async (on) => {
      await liftHold(on, runId, { kind: 'breaker', cause });
      await endWaits(on, runId);
      const what = cause === 'failures' ? this.#better : `${cause} ${this.#site[cause].label} answers`;
      await recordEvent(on, runId, 'scheduler', `goes on: ${what}`);
    });
    this.#held.delete(cause);
  }

  #trialOfOne(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (failure: string | null) => (failure === null ? resolve() : reject(new Error(failure)));
      this.#trial = { settle };
    });
  }

  /** Lets one waiting task through, and another where that one is gone; where all are held back otherwise, later. */
  async #tryOne(): Promise<void> {
    const { runId, ledger, write } = this.#site;
    const trial = this.#trial;
    if (trial === undefined || (trial.taskId !== undefined && (await isTrying(ledger, trial.taskId)))) return;
    await write(async (on) => {
      trial.taskId = await letOneThrough(on, runId);
    });
    if (trial.taskId !== undefined || (await hasOpenTask(ledger, runId))) return;
    this.#endTrial(null, 'no task is left that waits for it');
  }

  #endTrial(failure: string | null, better = 'an attempt succeeded'): void {
    this.#better = better;
    this.#trial?.settle(failure);
    this.#trial = undefined;
  }
}
