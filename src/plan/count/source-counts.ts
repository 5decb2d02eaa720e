import type { Session } from '../../pg/session.ts';
import type { ResolvedFlow } from '../resolved-plan.ts';
import { planQuery } from '../sql/query.ts';
import { type Frame, selectRows } from '../statements/select.ts';

/** What becomes of a flow's driving rows, counted on the source. */
export interface SourceCounts {
  /** Rows of the driving table, without join or where. */
  driving: number;
  /** Rows that the flow yields. */
  outputs: number;
  /** Driving rows that yield one row or more; absent where driving rows cannot be told apart (views). */
  yielding?: number;
  /** Driving rows that the join leaves out; absent like `yielding`, and where counting them would explode. */
  unmatched?: number;
  /** Driving rows that the where leaves out; absent like `unmatched`. */
  filtered?: number;
}

/** Rows a join may have without its where before counting them is given up, as a multiple of rows known. */
const explosion = 20;
const smallEnough = 10_000_000;

async function countRow(source: Session, sql: string): Promise<Record<string, number>> {
  const { rows } = await planQuery<Record<string, string>>(source, sql);
  return Object.fromEntries(Object.entries(rows[0] ?? {}).map(([name, value]) => [name, Number(value)]));
}

/** Rows that the flow yields, by the mapping over the whole driving table. */
export async function countOutputs(source: Session, flow: ResolvedFlow): Promise<number> {
  const counts = await countRow(
    source,
    `select pg_catalog.count(*) as outputs from (${selectRows(flow, ['1'])}) as yielded`,
  );
  return counts.outputs!;
}

/** Counts distinct driving rows in `from … where`, and the rows they yield. */
const perDrivingRow = (frame: Frame): string => {
  const by = [`${frame.alias}.tableoid`, `${frame.alias}.ctid`];
  const rows = selectRows({ ...frame, grouping: { kind: 'group', by } }, [
    `${by[1]} as driving`,
    'pg_catalog.count(*) as n',
  ]);
  return `select pg_catalog.count(driving) as driving, coalesce(pg_catalog.sum(n), 0) as outputs from (${rows}) as yielded`;
};

// A join such as `cross join b` relies on its where to be small: ask the planner before counting without it.
async function explodes(source: Session, flow: ResolvedFlow, known: number): Promise<boolean> {
  const { rows } = await planQuery<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    source,
    `explain (format json) ${selectRows({ ...flow, where: '' }, [])}`,
  );
  return rows[0]!['QUERY PLAN'][0].Plan['Plan Rows'] > Math.max(smallEnough, explosion * known);
}

/** The driving table alone, as a frame. */
const drivingOnly = ({ driving, only, alias }: ResolvedFlow): Frame => ({
  driving,
  only,
  alias,
  join: '',
  where: '',
});

/**
 * Counts a flow's driving rows and what becomes of them. Needs the plan's search_path.
 * @param excluded driving rows that the flow's where leaves out because they are in quarantine
 */
export async function countSource(source: Session, flow: ResolvedFlow, excluded = 0): Promise<SourceCounts> {
  const { driving } = (await countRow(
    source,
    selectRows(drivingOnly(flow), ['pg_catalog.count(*) as driving']),
  )) as { driving: number };
  if (flow.grouping?.kind === 'group') return { driving, outputs: await countOutputs(source, flow) };
  if (flow.join === '') {
    const outputs = await countOutputs(source, flow);
    return { driving, outputs, yielding: outputs, unmatched: 0, filtered: driving - outputs - excluded };
  }
  if (!flow.leaves.every((leaf) => leaf.hasCtid)) {
    return { driving, outputs: await countOutputs(source, flow) };
  }
  const found = await countRow(source, perDrivingRow(flow));
  const counts = { driving, outputs: found.outputs!, yielding: found.driving! };
  if (flow.where === '' || counts.yielding === driving)
    return { ...counts, unmatched: driving - counts.yielding, filtered: 0 };
  if (await explodes(source, flow, driving + counts.outputs)) return counts;
  const matched = (await countRow(source, perDrivingRow({ ...flow, where: '' }))).driving!;
  return { ...counts, unmatched: driving - matched, filtered: matched - counts.yielding - excluded };
}
