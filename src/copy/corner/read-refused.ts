import type { RefusedRow } from '../../ledger/quarantine.ts';
import { classify } from '../../pg/failure-class.ts';
import { ident, literal, qualified } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import { underSavepoint } from '../../pg/transaction.ts';
import type { Leaf, ResolvedFlow } from '../../plan/resolved-plan.ts';
import { planQuery } from '../../plan/sql/query.ts';
import { asCopied, carried, carriedFor, fromClause, whereClause } from '../../plan/statements/select.ts';

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

function drivingSelect({ drivingKey }: ResolvedFlow, leaf: Leaf, tid: string): string {
  const values = drivingKey.map((name) => `d.${ident(name)}::pg_catalog.text`);
  const key =
    drivingKey.length === 0
      ? 'null::pg_catalog.text'
      : `pg_catalog.json_object(${namesOf(drivingKey)}, array[${values.join(', ')}])::pg_catalog.text`;
  return `select ${key} as key, ${kept('pg_catalog.row_to_json(d.*)')} as row
    from only ${qualified(leaf)} as d where d.ctid = ${literal(tid)}::pg_catalog.tid`;
}

const copied = (_: unknown, i: number): string => asCopied(`r.c${i + 1}`);

const rowsOf = (flow: ResolvedFlow, leaf: Leaf, tid: string): string =>
  `${fromClause(flow, leaf)} ${whereClause(flow, [`${flow.alias}.ctid = ${literal(tid)}::pg_catalog.tid`])}`;

/**
 * The target column, or the one of a transform's input, whose expression fails on a driving row, of which join and where can be computed; undefined where
 * each alone does not.
 * @param likely tried first: rows of a batch mostly fail alike
 */
export async function findFailingColumn(
  source: Session,
  flows: ResolvedFlow[],
  { leaf, tid }: { leaf: Leaf; tid: string },
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
    const sql = `select pg_catalog.count((${copyExpression}\n)) ${rowsOf(flow, leaf, tid)}`;
    if ((await attempt(source, sql)) === undefined) return name;
  }
  return undefined;
}

/** The rows that a driving row would have become, as JSON; null where they cannot be told by the source alone, or are of several tables. */
async function readYielded(
  source: Session,
  flows: ResolvedFlow[],
  rowsOf: (flow: ResolvedFlow) => string,
): Promise<string | null> {
  const [flow] = flows as [ResolvedFlow];
  if (flows.length > 1 || flow.transform || flow.columns.some(({ lookup }) => lookup !== undefined))
    return null;
  const list = flow.columns.map(({ copyExpression }, i) => `(${copyExpression}\n) as c${i + 1}`).join(', ');
  const object = `pg_catalog.json_object(${namesOf(flow.columns.map(({ name }) => name))}, array[${flow.columns.map(copied).join(', ')}])`;
  const yielded = await attempt<{ rows: string | null }>(
    source,
    `select ${kept(`select pg_catalog.json_agg(${object}) from (select ${list} ${rowsOf(flow)}) as r`)} as rows`,
  );
  return yielded?.rows ?? null;
}

/** What of a driving row that the flows refuse together is kept for people: its key, its values, and the rows that it would have become. */
export async function readRefused(
  source: Session,
  flows: ResolvedFlow[],
  leaf: Leaf,
  tid: string,
): Promise<Pick<RefusedRow, 'outputs' | 'sourceKey' | 'sourceRow' | 'targetRows'>> {
  let outputs = 0;
  for (const flow of flows) {
    const sql = `select pg_catalog.count(*) as n ${rowsOf(flow, leaf, tid)}`;
    outputs += Number((await attempt<{ n: string }>(source, sql))?.n ?? 0);
  }
  const driving = await attempt<{ key: string | null; row: string | null }>(
    source,
    drivingSelect(flows[0]!, leaf, tid),
  );
  return {
    outputs,
    sourceKey: driving?.key ?? null,
    sourceRow: driving?.row ?? null,
    targetRows: await readYielded(source, flows, (flow) => rowsOf(flow, leaf, tid)),
  };
}
