import type { LoadedRows } from '../ledger/flows.ts';
import type { TargetRow } from '../ledger/read-quarantine.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import type { ExcludedRows } from '../plan/statements/without-rows.ts';
import type { Transforms } from '../transform/transform.ts';

/** What a check needs. Both sessions belong to the check while it runs. */
export interface CheckContext {
  source: Session;
  target: Session;
  plan: ResolvedPlan;
  /** What of it is TypeScript. Defaults to none. */
  transforms?: Transforms;
  /** Flow → rows that the loaders read and wrote. Absent where the tables are not to be held against it: nothing was copied, or people mended rows since. */
  loaded?: Record<string, LoadedRows>;
  /** Display name of a target table → rows it held before the run. Defaults to 0. */
  before: Record<string, number>;
  /** Flow → driving rows in quarantine: what the target should hold is computed without them. Defaults to none. */
  excluded?: Record<string, ExcludedRows>;
  /** Flow → rows that are in the target as people edited them, instead of what the mapping yields. Defaults to none. */
  edited?: Record<string, TargetRow[]>;
  /** Cancelled flow → rows of it that were copied before. Defaults to none. */
  cancelled?: Record<string, number>;
  /** Stops the check between two statements; a statement that runs is ended by closing its session. */
  signal?: AbortSignal;
}
