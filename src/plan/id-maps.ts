import type { RelationName } from '../pg/quote.ts';
import type { ResolvedPlan } from './resolved-plan.ts';

/** The table of the ledger that is an id map: old_1, …, new_id. */
export const idMapTable = (name: string): RelationName => ({ schema: 'rowfleet', name: `id_map_${name}` });

/** The name of the flow that fills an id map. */
export const flowOfIdMap = (name: string): string => `id map ${name}`;

/** The column of an id map that holds the part of an old key at an index. */
export const oldColumn = (index: number): string => `old_${index + 1}`;

/** The types of new ids. */
export const newIdTypes = {
  uuid: { oid: 2950, type: 'uuid' },
  sequence: { oid: 20, type: 'bigint' },
} as const;

/** An id map as it stands in the ledger. */
export interface IdMap {
  name: string;
  /** Identity of the database that the old keys are of. */
  source: string;
  /** Display name of the table that they are of. */
  relation: string;
  /** SQL types of the old key's parts. */
  oldTypes: string[];
  new: 'uuid' | 'sequence';
}

/** The id maps that a plan fills and uses. */
export const idMapsOf = ({ flows, source }: ResolvedPlan): IdMap[] =>
  flows.flatMap(({ idMap, driving, columns }) =>
    idMap === undefined
      ? []
      : [
          {
            ...idMap,
            source: source.identity,
            relation: `${driving.schema}.${driving.name}`,
            oldTypes: columns.map(({ targetType }) => targetType),
          },
        ],
  );
