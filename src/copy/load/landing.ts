import { RowRefused } from '../../errors.ts';
import { display, ident, qualified } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import { planQuery } from '../../plan/plan-query.ts';
import { carried } from '../../plan/select.ts';
import type { ResolvedColumn, ResolvedFlow, ResolvedLookup } from '../../plan/types.ts';

/** Where the rows of a flow come down: in its target at once, or on a stage, from where values are looked up. */
export interface Landing {
  flow: ResolvedFlow;
  /** `COPY … FROM STDIN`. */
  statement: string;
  /** Makes room for a range. */
  open(target: Session): Promise<void>;
  /** Brings what was copied into the target. Returns how many rows that were; undefined where they are there already. Throws RowRefused. */
  close(target: Session): Promise<number | undefined>;
}

const names = (columns: ResolvedColumn[]): string => columns.map(({ name }) => ident(name)).join(', ');

function direct(flow: ResolvedFlow): Landing {
  const columns = flow.columns.length === 0 ? '' : ` (${names(flow.columns)})`;
  return {
    flow,
    statement: `copy ${qualified(flow.target)}${columns} from stdin (format ${flow.format})`,
    open: async () => {},
    close: async () => undefined,
  };
}

interface LookedUp {
  column: ResolvedColumn;
  lookup: ResolvedLookup;
  alias: string;
  /** What the looked-up row must be like. */
  same: string;
  /** The stage's columns that hold the key. */
  keys: string[];
}

/** The stage's columns in the flow's order, and the columns that are looked up by them. */
function layOut(flow: ResolvedFlow): { values: string[]; lookups: LookedUp[] } {
  let next = 0;
  const lookups: LookedUp[] = [];
  const values = flow.columns.map((column, i) => {
    if (column.lookup === undefined) return `s.c${++next}`;
    const alias = `l${i + 1}`;
    const keys = column.lookup.by.map(() => `s.c${++next}`);
    const same = column.lookup.by.map(({ name }, k) => `${alias}.${ident(name)} = ${keys[k]}`).join(' and ');
    lookups.push({ column, lookup: column.lookup, alias, same, keys });
    return `${alias}.${ident(column.lookup.take)}`;
  });
  return { values, lookups };
}

async function refuseMissing(
  target: Session,
  stage: string,
  flow: ResolvedFlow,
  { column, lookup, alias, same, keys }: LookedUp,
) {
  if (lookup.missing === 'null') return;
  const { rowCount } = await planQuery(
    target,
    `select 1 from ${stage} s where ${keys.map((key) => `${key} is not null`).join(' and ')}
        and not exists (select from ${qualified(lookup.relation)} as ${alias} where ${same}) limit 1`,
  );
  if (rowCount === 0) return;
  const where = lookup.idMap === undefined ? display(lookup.relation) : `id map ${lookup.idMap}`;
  throw new RowRefused(
    'LOOKUP_MISSED',
    `${display(flow.target)}: the key for ${column.name} is not in ${where}`,
    {
      stage: 'load',
      column: column.name,
    },
  );
}

function staged(flow: ResolvedFlow, number: number): Landing {
  const name = `rowfleet_load_${number}`;
  const stage = `pg_temp.${name}`;
  const { values, lookups } = layOut(flow);
  const columns = carried(flow.columns).map(({ targetType }, i) => `c${i + 1} ${targetType}`);
  const joins = lookups.map(
    ({ lookup, alias, same }) => `left join ${qualified(lookup.relation)} as ${alias} on ${same}`,
  );
  return {
    flow,
    statement: `copy ${stage} from stdin (format ${flow.format})`,
    async open(target) {
      await target.query(`create temporary table ${name} (${columns.join(', ')}) on commit drop`);
    },
    async close(target) {
      await target.query(`analyze ${stage}`);
      for (const lookup of lookups) await refuseMissing(target, stage, flow, lookup);
      const { rowCount } = await planQuery(
        target,
        `insert into ${qualified(flow.target)} (${names(flow.columns)}) overriding system value
           select ${values.join(', ')} from ${stage} s ${joins.join(' ')}`,
      );
      await target.query(`drop table ${stage}`);
      return rowCount ?? 0;
    },
  };
}

/** Where a flow's rows come down; `number` tells stages of one batch apart. */
export const landingOf = (flow: ResolvedFlow, number = 1): Landing =>
  flow.columns.some(({ lookup }) => lookup !== undefined) ? staged(flow, number) : direct(flow);
