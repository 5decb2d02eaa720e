import { RowfleetError } from '../errors.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import type { LoadedTransform } from './load.ts';
import { Breaker, type BreakerOptions, Pace } from './pace.ts';
import type { IdMapLookup, InputRow, ResolvedTransform } from './types.ts';

/** What a flow's transform is in one process, for all its batches: the code, its pace, and how its calls have been going. */
export interface Transform {
  flow: string;
  plan: ResolvedTransform;
  loaded: LoadedTransform;
  /** Frozen, to the last list in it. */
  constants: Readonly<Record<string, unknown>>;
  idMap: IdMapLookup;
  pace: Pace | undefined;
  breaker: Breaker;
  /** A row that an asynchronous call went well for: by it one finds out whether others fail, or all do. */
  good?: InputRow;
  /** Whether a row came that has to be written as text; batches that begin then are text from their first row on. */
  onlyText?: boolean;
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}

/**
 * Makes a transform ready for batches. Pace and breaker are shared by all that are begun with what this returns, so it is
 * made once a process.
 */
export function openTransform(
  flow: string,
  plan: ResolvedTransform,
  loaded: LoadedTransform,
  idMap: IdMapLookup,
  breaker?: BreakerOptions,
): Transform {
  return {
    flow,
    plan,
    loaded,
    constants: frozen(structuredClone(plan.constants ?? {})),
    idMap,
    pace: plan.callsPerSecond === undefined ? undefined : new Pace(plan.callsPerSecond),
    breaker: new Breaker(flow, breaker),
  };
}

/** The transforms of a plan as a process has them, by flow. */
export type Transforms = ReadonlyMap<string, Transform>;

/** A flow's transform; undefined where it has none. Throws TRANSFORM_NOT_OPEN. */
export function transformFor(
  transforms: Transforms,
  { name, transform }: Pick<ResolvedFlow, 'name' | 'transform'>,
): Transform | undefined {
  if (transform === undefined) return undefined;
  const opened = transforms.get(name);
  if (opened === undefined)
    throw new RowfleetError('TRANSFORM_NOT_OPEN', `the transform of ${name} is not loaded in this process`);
  return opened;
}
