import { isUnique } from '../catalog/columns.ts';
import { RowRefused } from '../errors.ts';
import { display, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { planQuery } from '../plan/sql/query.ts';
import {
  doubledKeys,
  landFromStage,
  landingColumns,
  missingKeys,
  needsStage,
  stageDefinition,
} from '../plan/statements/stage.ts';
import { haveBinaryForm } from '../transform/encode/binary-values.ts';

/** Where the rows of a flow come down: in a table at once, or on a stage, from where values are looked up. */
export interface Landing {
  flow: ResolvedFlow;
  /** `COPY … FROM STDIN`. */
  statement: string;
  /** The same in binary format, where a transform writes that as long as its values have such a form. */
  binary?: string;
  /** What `open` and `close` run, for those who only want to see it. */
  before: string[];
  after: string[];
  /** Makes room for a range. */
  open(target: Session): Promise<void>;
  /** Brings what was copied into the table. Returns how many rows that were; undefined where they are there already. Throws RowRefused. */
  close(target: Session): Promise<number | undefined>;
}

function direct(flow: ResolvedFlow, into: RelationName): Landing {
  const columns = flow.columns.length === 0 ? '' : ` (${landingColumns(flow)})`;
  const statement = (format: string) => `copy ${qualified(into)}${columns} from stdin (format ${format})`;
  return {
    flow,
    statement: statement(flow.format),
    ...(flow.transform && haveBinaryForm(flow.transform.output) ? { binary: statement('binary') } : {}),
    before: [],
    after: [],
    open: async () => {},
    close: async () => undefined,
  };
}

function staged(flow: ResolvedFlow, into: RelationName, number: number): Landing {
  const name = `rowfleet_load_${number}`;
  const stage = `pg_temp.${name}`;
  const create = `create temporary table ${name} (${stageDefinition(flow)}) on commit drop`;
  const [analyze, drop] = [`analyze ${stage}`, `drop table ${stage}`];
  const missing = missingKeys(flow, stage);
  const doubled = doubledKeys(flow, stage);
  const land = landFromStage(flow, stage, into);
  return {
    flow,
    statement: `copy ${stage} from stdin (format ${flow.format})`,
    before: [create],
    after: [analyze, ...missing.map(({ sql }) => sql), land, drop],
    async open(target) {
      await target.query(create);
    },
    async close(target) {
      await target.query(analyze);
      for (const { sql, column, message } of missing) {
        const { rowCount } = await planQuery(target, sql);
        if (rowCount !== 0) throw new RowRefused('LOOKUP_MISSED', message, { stage: 'load', column });
      }
      for (const { sql, column, message, lookup } of doubled) {
        // Without the key that the plan was checked with: rows of the run itself kept it from being built, or somebody dropped it.
        const names = lookup.by.map(({ name }) => name);
        if (await isUnique(target, lookup.relation, names)) continue;
        const { rowCount } = await planQuery(target, sql);
        const hint = `mend ${display(lookup.relation)}, so that it can have its unique key over ${names.join(', ')}`;
        if (rowCount !== 0) throw new RowRefused('LOOKUP_DOUBLED', message, { stage: 'load', column, hint });
      }
      const { rowCount } = await planQuery(target, land);
      await target.query(drop);
      // What an id map had already is in it as well.
      return flow.idMap === undefined ? (rowCount ?? 0) : undefined;
    },
  };
}

/**
 * Where a flow's rows come down.
 * @param into the table; the flow's target by default
 * @param number tells stages of one batch apart
 */
export const landingOf = (flow: ResolvedFlow, into: RelationName = flow.target, number = 1): Landing =>
  needsStage(flow) ? staged(flow, into, number) : direct(flow, into);
