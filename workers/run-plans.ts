import pLimit from 'p-limit';
import type pg from 'pg';
import { requireDatabase } from '../src/catalog/server.ts';
import { RowfleetError } from '../src/errors.ts';
import type { ClaimedTask } from '../src/ledger/claim.ts';
import { PlanRevised } from '../src/ledger/fence.ts';
import type { Queryable } from '../src/ledger/ledger.ts';
import { readRun, readSourceLabel } from '../src/ledger/runs.ts';
import type { Endpoint } from '../src/pg/endpoint.ts';
import { safeMessage } from '../src/pg/errors.ts';
import { classify } from '../src/pg/failure-class.ts';
import { bound, openPool, type Session, withSession } from '../src/pg/session.ts';
import { watched } from '../src/pg/watch.ts';
import { resolveEndpoint } from '../src/plan/endpoints.ts';
import { planHash } from '../src/plan/hash.ts';
import type { ResolvedPlan } from '../src/plan/resolved-plan.ts';
import type { Transforms } from '../src/transform/transform.ts';
import { OwnTrouble } from './away.ts';
import { openTransforms } from './plan-transforms.ts';

/** A run's plan as this worker holds it, with the way to its source. */
export interface LoadedRun {
  id: string;
  plan: ResolvedPlan;
  planHash: string;
  /** What of it is TypeScript, loaded into this process. */
  transforms: Transforms;
  /**
   * Runs `fn` with a source session, which an abort of `signal` destroys. Throws PlanRevised once a later plan was loaded,
   * and OwnTrouble.
   */
  withSource<T>(signal: AbortSignal, fn: (source: Session) => Promise<T>): Promise<T>;
}

/** The plan in the ledger is not the one that the run was started with. */
export class PlanMoved extends RowfleetError {
  constructor(runId: string) {
    super('PLAN_MOVED', `the plan of run ${runId} in the ledger does not match its hash`, {
      hint: 'somebody changed rowfleet.run by hand: cancel the run and start it anew',
    });
  }
}

interface OpenedRun {
  run: LoadedRun;
  pool: pg.Pool;
}

/** Where a plan's source is by this process's environment. Throws OwnTrouble. */
function sourceOf(plan: ResolvedPlan): Endpoint {
  try {
    return resolveEndpoint(plan.source.endpoint, process.env);
  } catch (error) {
    throw new OwnTrouble(`cannot tell the source: ${safeMessage(error)}`, error);
  }
}

/** Closes the sessions of a plan as they come back; who has the plan and no session yet gets none any more. */
async function end(opened: Promise<OpenedRun>): Promise<void> {
  await opened.then(({ pool }) => pool.end()).catch(() => {});
}

/**
 * The plans of the runs this worker works for, each read once and held against its hash. Over all runs
 * together at most `maxSources` source sessions are in use.
 */
export class RunPlans {
  readonly #ledger: Queryable;
  readonly #idMaps: Queryable;
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #maxSources: number;
  /** By run: by hash, the plan with the pool of its source. Two of one run only while one of them is being read. */
  readonly #runs = new Map<string, Map<string, Promise<OpenedRun>>>();

  /** `idMaps`: where functions of plans look ids up. */
  constructor(ledger: Queryable, maxSources: number, idMaps = ledger) {
    this.#ledger = ledger;
    this.#idMaps = idMaps;
    this.#maxSources = maxSources;
    this.#limit = pLimit(maxSources);
  }

  /** Lets so many source sessions be in use at once from now on, at most as many as it was made for. */
  limitSources(sessions: number): void {
    this.#limit.concurrency = sessions;
  }

  /** The plan behind a claim. Throws PlanMoved when the ledger's plan is not the one that was checked, PlanRevised and OwnTrouble. */
  async load(claim: ClaimedTask): Promise<LoadedRun> {
    const plans = this.#runs.get(claim.runId) ?? new Map<string, Promise<OpenedRun>>();
    this.#runs.set(claim.runId, plans);
    const known = plans.get(claim.planHash);
    if (known !== undefined) return (await known).run;
    const opened = this.#open(claim);
    plans.set(claim.planHash, opened);
    try {
      const { run } = await opened;
      // Only now: a claim may be older than the plan that is known, and the ledger alone tells.
      for (const [hash, other] of plans) {
        if (hash === claim.planHash) continue;
        plans.delete(hash);
        void end(other);
      }
      return run;
    } catch (error) {
      plans.delete(claim.planHash);
      throw error;
    }
  }

  async #open(claim: ClaimedTask): Promise<OpenedRun> {
    const run = await readRun(this.#ledger, claim.runId);
    if (run.planHash !== claim.planHash) throw new PlanRevised(run.id);
    if (planHash(run.plan) !== claim.planHash) throw new PlanMoved(run.id);
    const endpoint = sourceOf(run.plan);
    const transforms = await openTransforms(run, this.#idMaps);
    const pool = openPool(endpoint, {
      max: this.#maxSources,
      applicationName: `rowfleet run ${run.id}`,
    });
    let isRight = false;
    const withSource = async <T>(signal: AbortSignal, fn: (source: Session) => Promise<T>): Promise<T> => {
      let isOpen = false;
      const checked = async (source: Session): Promise<T> => {
        if (!isRight) await requireDatabase(source, run.plan.source.identity, endpoint.label);
        isRight = true;
        isOpen = true;
        return watched(source, endpoint, () => fn(source));
      };
      try {
        return await withSession(pool, (source) => bound(source, signal, () => checked(source)));
      } catch (error) {
        if (isOpen || signal.aborted) throw error;
        throw await this.#outOfReach(run.id, endpoint.label, error);
      }
    };
    return {
      pool,
      run: {
        id: run.id,
        plan: run.plan,
        planHash: claim.planHash,
        transforms,
        withSource: (signal, fn) =>
          this.#limit(() => {
            if (pool.ending) throw new PlanRevised(run.id);
            return withSource(signal, fn);
          }),
      },
    };
  }

  /** Why a source could not be opened: a refusal, and silence where nobody else looks for it, are this process's own trouble. */
  async #outOfReach(runId: string, label: string, error: unknown): Promise<unknown> {
    const kind = classify(error, 'source');
    if (kind === 'give up') return new OwnTrouble(safeMessage(error), error);
    const expected = kind === 'wait' ? await readSourceLabel(this.#ledger, runId).catch(() => null) : null;
    if (expected === null || expected === label) return error;
    const message = `${safeMessage(error)}; the scheduler has the source at ${expected}`;
    return new OwnTrouble(message, error);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#runs.values()].flatMap((plans) => [...plans.values()].map(end)));
  }
}
