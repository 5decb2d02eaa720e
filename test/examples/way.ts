import type { ResolvedFlow } from '../../src/plan/resolved-plan.ts';
import { needsStage } from '../../src/plan/statements/stage.ts';

/** How the rows of a flow get into the target. */
export type Way =
  /** Byte for byte, as the source sends them. */
  | 'passed through'
  /** By the fields of each row, to several tables. */
  | 'handed out'
  /** Over a temporary table. */
  | 'staged'
  /** Through a function in TypeScript. */
  | 'transformed'
  /** Not at all: they are updated where they stand. */
  | 'updated';

/** The way that a flow's rows go: the shortest that its shape allows. */
export function wayOf(flow: ResolvedFlow): Way {
  if (flow.backfill !== undefined) return 'updated';
  if (flow.transform !== undefined) return 'transformed';
  if (needsStage(flow)) return 'staged';
  return flow.readWith === undefined ? 'passed through' : 'handed out';
}
