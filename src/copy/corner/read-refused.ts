import type { Refusal, RefusedRow } from '../../ledger/quarantine.ts';
import { classify } from '../../pg/failure-class.ts';
import { ident, literal, qualified } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import { underSavepoint } from '../../pg/transaction.ts';
import type { ResolvedFlow } from '../../plan/resolved-plan.ts';
import { planQuery } from '../../plan/sql/query.ts';
import {
  asCopied,
  carried,
  carriedFor,
  type Range,
  rangeConditions,
  selectRows,
  type TidRange,
} from '../../plan/statements/select.ts';
import { findRefusedColumn } from '../update-range.ts';
import type { Unit } from './context.ts';

/** Bytes of JSON beyond which a row's values are not kept: the key still says which row it was. */
const mostBytes = 16 * 1024 * 1024;

const kept = (json: string): string =>
  `(select case when pg_catalog.octet_length(j) <= ${mostBytes} then j end from (select (${json})::pg_catalog.text) as k (j))`;

const namesOf = (columns: string[]): string => `array[${columns.map(literal).join(', ')}]::pg_catalog.text[]`;

/** The first row of a query under a savepoint; undefined where the row's own values, or permissions, do not let it be computed. */
async function attempt<R extends object>(source: Session, sql: string): Promise<R | undefined> {
  const cannotCompute = (error: unknown) => ['row', 'give up'].includes(classify(error, 'source'));
  const outcome = await underSavepoint(source, cannotCompute, () => planQuery<R>(source, sql));
  return outcome.kind === 'done' ? outcome.value.rows[0] : undefined;
}

const keyObject = (values: [name: string, text: string][]): string =>
  `pg_catalog.json_object(${namesOf(values.map(([name]) => name))}, array[${values.map(([, text]) => text).join(', ')}])::pg_catalog.text`;

interface DrivingRows {
  key: string | null;
  /** JSON: the driving row; of a group an array of its rows. */
  row: string | null;
  /** How many they are. */
  driving: string;
}

function drivingSelect({ drivingKey }: ResolvedFlow, { leaf, from }: TidRange): string {
  const values = drivingKey.map((name): [string, string] => [name, `d.${ident(name)}::pg_catalog.text`]);
  const key = drivingKey.length === 0 ? 'null::pg_catalog.text' : keyObject(values);
  return `select ${key} as key, ${kept('pg_catalog.row_to_json(d.*)')} as row, 1 as driving
    from only ${qualified(leaf)} as d where d.ctid = ${literal(from!)}::pg_catalog.tid`;
}

/** The driving rows of what is told by its key: one, or all of a group, each once however many rows it is joined to. */
function unitSelect(flow: ResolvedFlow, range: Range): string {
  const { alias, grouping: _, leaves, ...frame } = flow;
  const once = flow.join !== '' && leaves.every(({ hasCtid }) => hasCtid);
  const list = `${once ? `distinct on (${alias}.tableoid, ${alias}.ctid) ` : ''}pg_catalog.row_to_json(${alias}.*) as j`;
  const rows = selectRows({ ...frame, alias }, [list], { conditions: rangeConditions(alias, range) });
  const json =
    flow.backfill === undefined
      ? 'pg_catalog.json_agg(d.j)'
      : '(pg_catalog.json_agg(d.j) operator(pg_catalog.->) 0)';
  return `select null as key, ${kept(json)} as row, pg_catalog.count(*) as driving from (${rows}) as d`;
}

const copied = (_: unknown, i: number): string => asCopied(`r.c${i + 1}`);

const rowsOf = (flow: ResolvedFlow, list: string[], range: Range): string =>
  selectRows(flow, list, {
    ...(range.leaf && { leaf: range.leaf }),
    conditions: rangeConditions(flow.alias, range),
  });

/**
 * The target column, or the one of a transform's input, whose expression fails on a driving row, of which join and where can be computed; undefined where
 * each alone does not.
 * @param likely tried first: rows of a batch mostly fail alike
 */
async function findFailingColumn(
  source: Session,
  flows: ResolvedFlow[],
  { range }: Unit,
  likely?: string,
): Promise<string | undefined> {
  const expressions = flows.flatMap((flow) =>
    (flow.transform ? carried(flow) : flow.columns).flatMap((column) =>
      carriedFor(column).map(({ copyExpression }) => ({ flow, name: column.name, copyExpression })),
    ),
  );
  const first = expressions.filter(({ name }) => name === likely);
  for (const { flow, name, copyExpression } of [
    ...first,
    ...expressions.filter((each) => !first.includes(each)),
  ]) {
    const sql = `select pg_catalog.count(r.c) from (${rowsOf(flow, [`(${copyExpression}\n) as c`], range)}) as r`;
    if ((await attempt(source, sql)) === undefined) return name;
  }
  return undefined;
}

/**
 * Says in a refusal which column is to blame, where the server did not: its expression fails on the unit, or, in place, its
 * value alone is not stored. What is updated in place is computed and stored by one statement.
 * @param likely a column to be tried first
 */
export async function blameColumn(
  source: Session,
  flows: ResolvedFlow[],
  unit: Unit,
  refusal: Refusal,
  likely?: string,
): Promise<void> {
  const [flow] = flows as [ResolvedFlow];
  const inPlace = flow.backfill !== undefined && refusal.stage === 'load';
  if (refusal.stage !== 'extract' && !inPlace) return;
  const failing = await findFailingColumn(source, flows, unit, likely);
  if (failing !== undefined) Object.assign(refusal, { column: failing, stage: 'extract' });
  else if (inPlace) {
    const column = await findRefusedColumn(source, flow, unit.range);
    if (column !== undefined) refusal.column = column;
  }
}

/** The rows that a driving row would have become, as JSON; null where they cannot be told by the source alone, or are of several tables. */
async function readYielded(source: Session, flows: ResolvedFlow[], range: Range): Promise<string | null> {
  const [flow] = flows as [ResolvedFlow];
  if (flows.length > 1 || flow.transform || flow.columns.some(({ lookup }) => lookup !== undefined))
    return null;
  const list = flow.columns.map(({ copyExpression }, i) => `(${copyExpression}\n) as c${i + 1}`);
  const object = `pg_catalog.json_object(${namesOf(flow.columns.map(({ name }) => name))}, array[${flow.columns.map(copied).join(', ')}])`;
  const yielded = await attempt<{ rows: string | null }>(
    source,
    `select ${kept(`select pg_catalog.json_agg(${object}) from (${rowsOf(flow, list, range)}) as r`)} as rows`,
  );
  return yielded?.rows ?? null;
}

/** Where a unit stands, by its flow's leaves; what is told by its key has no place. */
const placeOf = ({ leaves }: ResolvedFlow, { leaf, from }: Range): Pick<RefusedRow, 'leaf' | 'tid'> =>
  leaf === undefined ? { leaf: 0, tid: null } : { leaf: leaves.indexOf(leaf), tid: from };

/** What of a unit that the flows refuse together is kept for people: its key, its driving rows, and the rows that it would have become. */
export async function readRefused(
  source: Session,
  flows: ResolvedFlow[],
  { range, key }: Unit,
): Promise<Omit<RefusedRow, keyof Refusal | 'trace'>> {
  let outputs = 0;
  for (const flow of flows) {
    const sql = `select pg_catalog.count(*) as n from (${rowsOf(flow, ['1'], range)}) as r`;
    outputs += Number((await attempt<{ n: string }>(source, sql))?.n ?? 0);
  }
  const [flow] = flows as [ResolvedFlow];
  const select = range.leaf === undefined ? unitSelect(flow, range) : drivingSelect(flow, range);
  const driving = await attempt<DrivingRows>(source, select);
  return {
    ...placeOf(flow, range),
    outputs,
    driving: Number(driving?.driving ?? 1),
    sourceKey: key === undefined ? (driving?.key ?? null) : JSON.stringify(key),
    sourceRow: driving?.row ?? null,
    targetRows: await readYielded(source, flows, range),
  };
}
