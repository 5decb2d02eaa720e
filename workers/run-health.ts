import { RowfleetError } from '../src/errors.ts';
import { liftHold, putHold, readHolds } from '../src/ledger/holds.ts';
import type { Queryable } from '../src/ledger/ledger.ts';
import { recordEvent } from '../src/ledger/runs.ts';
import { safeMessage } from '../src/pg/errors.ts';
import type { ThrottleMeasure } from '../src/plan/plan.ts';
import { decideThrottle, type MeasureState, type ThrottleStep } from '../src/run/throttle.ts';
import { type ProbeAnswer, type ProbeSite, probe } from './probe-health.ts';

/** Milliseconds between two readings, and between those of a run that is held: it should not stand longer than it must. */
const probeEveryMs = { well: 5_000, held: 2_000 };

/** A minute of failed probes is no hiccup: the plan's limit is not kept, and people should know. */
const failuresToTell = 12;

/** What a run's health is kept with. */
export interface HealthSite extends ProbeSite {
  /** Runs ledger writes that belong together, as the leader. */
  write(fn: (on: Queryable) => Promise<void>): Promise<void>;
  log(message: string, fields: Record<string, unknown>): void;
}

const asked: Record<ThrottleMeasure, string> = {
  replication_lag: 'the replication lag of the target',
  wal_to_archive: 'the WAL that the target has to archive',
  vacuum: 'vacuums on the target',
  source_sessions: 'the active sessions of the source',
  target_gb: 'the size of the target',
  disk_full: 'the disk of the target',
};

/**
 * Watches the servers of one run, as its plan asks for, and holds the run while one of them is not well. Reading goes
 * on beside the run; `look` settles what was read.
 */
export class RunHealth {
  readonly #site: () => HealthSite;
  readonly #everyMs: typeof probeEveryMs;
  readonly #states = new Map<ThrottleMeasure, MeasureState>();
  readonly #unseen = new Set<ThrottleMeasure>();
  readonly #read = new Map<ThrottleMeasure, ProbeAnswer | { fails: string }>();
  /** Probes in a row that failed. */
  readonly #failures = new Map<ThrottleMeasure, number>();
  #reading = false;
  #readAt = 0;
  #restored = false;

  /** `site` is asked anew at each look: a run's plan may be revised. */
  constructor(site: () => HealthSite, everyMs = probeEveryMs) {
    this.#site = site;
    this.#everyMs = everyMs;
  }

  /** One look: settles what was read since the last one. Throws TARGET_FULL when a run waited for space in vain. */
  async look(): Promise<void> {
    const site = this.#site();
    const throttle = site.run.plan.settings.throttle ?? {};
    await this.#restore(site);
    await this.#forget(site);
    for (const [measure, answer] of [...this.#read]) {
      this.#read.delete(measure);
      const limit = throttle[measure];
      if (limit === undefined) continue;
      if ('needs' in answer || 'fails' in answer) {
        const why = 'needs' in answer ? `grant the role ${answer.needs}` : answer.fails;
        await this.#sayUnseen(site, measure, why);
        continue;
      }
      const before = this.#states.get(measure) ?? { heldSince: null, overruled: false };
      const { step, state } = decideThrottle(measure, limit, answer, before, Date.now());
      await this.#settle(site, measure, step, before, limit.atMostMs);
      this.#states.set(measure, state);
    }
    const isHeld = [...this.#states.values()].some(({ heldSince }) => heldSince !== null);
    if (!this.#reading && Date.now() - this.#readAt >= this.#everyMs[isHeld ? 'held' : 'well'])
      void this.#readAll(site, Object.keys(throttle) as ThrottleMeasure[]);
  }

  /** What the plan asks for no more, since it was revised, is let go. */
  async #forget({ run, write }: HealthSite): Promise<void> {
    for (const cause of [...this.#states.keys()]) {
      if (run.plan.settings.throttle?.[cause] !== undefined) continue;
      await write(async (on) => void (await liftHold(on, run.id, { kind: 'throttle', cause })));
      this.#states.delete(cause);
    }
  }

  /** What an earlier leader held goes on being held, since when it was. */
  async #restore({ run, target }: HealthSite): Promise<void> {
    if (this.#restored) return;
    for (const { kind, cause, since } of await readHolds(target, run.id)) {
      if (kind !== 'throttle') continue;
      this.#states.set(cause as ThrottleMeasure, { heldSince: since.getTime(), overruled: false });
    }
    this.#restored = true;
  }

  async #readAll(site: HealthSite, measures: ThrottleMeasure[]): Promise<void> {
    this.#reading = true;
    const read = async (measure: ThrottleMeasure) => {
      try {
        this.#read.set(measure, await probe(measure, site));
        this.#failures.delete(measure);
      } catch (error) {
        // A server that is away is for the breakers: what was last known of it holds.
        const failures = (this.#failures.get(measure) ?? 0) + 1;
        this.#failures.set(measure, failures);
        site.log('a probe failed', { measure, error: safeMessage(error) });
        if (failures === failuresToTell) this.#read.set(measure, { fails: safeMessage(error) });
      }
    };
    await Promise.all(measures.map(read));
    this.#readAt = Date.now();
    this.#reading = false;
  }

  async #sayUnseen({ run, write }: HealthSite, measure: ThrottleMeasure, why: string): Promise<void> {
    if (this.#unseen.has(measure)) return;
    this.#unseen.add(measure);
    const what = `${asked[measure]} cannot be seen, and nothing is held for it: ${why}`;
    await write((on) => recordEvent(on, run.id, 'scheduler', what));
  }

  async #settle(
    { run, write }: HealthSite,
    measure: ThrottleMeasure,
    step: ThrottleStep,
    { heldSince }: MeasureState,
    atMostMs: number,
  ): Promise<void> {
    if (step.kind === 'none') return;
    const { reason } = step;
    const hold = { kind: 'throttle', cause: measure } as const;
    const limit = atMostMs < 60_000 ? `${atMostMs / 1000} s` : `${Math.round(atMostMs / 6000) / 10} min`;
    await write(async (on) => {
      const tell = (message: string) => recordEvent(on, run.id, 'scheduler', message);
      if (step.kind === 'hold') {
        await putHold(on, { ...hold, runId: run.id, reason });
        if (heldSince === null) await tell(`held: ${reason}`);
        return;
      }
      await liftHold(on, run.id, hold);
      if (step.kind === 'lift') await tell(`goes on: ${reason}`);
      if (step.kind === 'give way')
        await tell(`goes on although ${reason}: it was held for ${limit}, which is at_most`);
    });
    if (step.kind !== 'fail') return;
    throw new RowfleetError('TARGET_FULL', `${reason}, and ${limit} of waiting did not change that`, {
      hint: 'make space on the target, or raise migration.throttle.disk: `rowfleet revise -c plan.yaml`; then resume',
    });
  }
}
