import { ruleChecks } from '../../../copy/corner/rule-checks.ts';
import { readTargetRules, type TargetRules } from '../../../copy/corner/target-rules.ts';
import { refusalMessage } from '../../../pg/errors.ts';
import { type HandedRecord, handed, handOver } from '../../../pg/hand-over.ts';
import { display, ident, qualified } from '../../../pg/quote.ts';
import type { Session } from '../../../pg/session.ts';
import { sqlStates } from '../../../pg/sql-states.ts';
import type { ResolvedColumn, ResolvedFlow, ResolvedPlan } from '../../../plan/resolved-plan.ts';
import { planQuery } from '../../../plan/sql/query.ts';
import { asCopied, carried, carriedFor } from '../../../plan/statements/select.ts';
import { type LookedUp, layOut, stageColumns } from '../../../plan/statements/stage.ts';
import { findMisfits } from './judge-types.ts';
import type { SampledRefusal, SampledRow, SampledValue } from './types.ts';
import { tryQuery } from './yielded.ts';

/** A row on its way: what travels for it, and what has become of it. */
interface Travelling {
  texts: HandedRecord;
  row: SampledRow;
}

const refuse = ({ row }: Travelling, refusal: Omit<SampledRefusal, 'side'>): number =>
  row.refusals.push({ side: 'target', ...refusal });

/** What a value waits for that is looked up in what the run itself fills; undefined where what is there now is what will be. */
function fills(
  plan: ResolvedPlan,
  { relation, idMap }: NonNullable<ResolvedColumn['lookup']>,
): string | undefined {
  if (idMap !== undefined) return `by id map ${idMap}`;
  const filling = plan.flows.some(({ target }) => display(target) === display(relation));
  return filling ? `once ${display(relation)} is filled` : undefined;
}

async function judgeTypes(target: Session, flow: ResolvedFlow, rows: Travelling[]): Promise<string[]> {
  const columns = flow.columns.flatMap((column) =>
    carriedFor(column).map(({ targetType }) => ({ name: column.name, type: targetType })),
  );
  const types = columns.map(({ type }) => type);
  const found = await tryQuery(target, 'target', () =>
    findMisfits(
      target,
      types,
      rows.map(({ texts }) => texts),
    ),
  );
  if (found.error !== undefined) return [`types were not looked at: ${found.error.message}`];
  for (const { row, column, code, message } of found.value)
    refuse(rows[row]!, { column: columns[column]!.name, code, message });
  return [];
}

/** Values as the target's types make them: rounded, padded, and as these write them. */
async function settle(target: Session, flow: ResolvedFlow, rows: Travelling[]): Promise<string[]> {
  const own = flow.columns
    .flatMap((column) => carriedFor(column).map(({ targetType }) => ({ column, targetType })))
    .flatMap(({ column: { name, lookup }, targetType }, i) =>
      lookup ? [] : [{ name, sql: asCopied(`${handed(i + 1)}::${targetType}`) }],
    );
  if (own.length === 0 || rows.length === 0) return [];
  const records = rows.map(({ texts }, n): HandedRecord => [String(n), ...texts]);
  const found = await tryQuery(target, 'target', async () =>
    planQuery<{ n: number; values: (string | null)[] }>(
      target,
      `select ${handed(0)}::pg_catalog.int4 as n, array[${own.map(({ sql }) => sql).join(', ')}]::pg_catalog.text[] as values
         from ${await handOver(target, 'sampled', 'rows', records)}`,
    ),
  );
  if (found.error !== undefined) return [`values are shown as they came: ${found.error.message}`];
  for (const { n, values } of found.value.rows)
    for (const [i, { name }] of own.entries())
      rows[n]!.row.values.find(({ column }) => column === name)!.value = values[i]!;
  return [];
}

/** Rows with their values as the types of what they travel in, as a FROM item `s` with rowfleet_row and a stage's columns. */
async function typedRows(target: Session, flow: ResolvedFlow, rows: Travelling[]): Promise<string> {
  const records = rows.map(({ texts }, n): HandedRecord => [String(n), ...texts]);
  const from = await handOver(target, 'sampled', 'rows', records);
  const names = stageColumns(flow);
  const fields = carried(flow).map(({ targetType }, i) => `${handed(i + 1)}::${targetType} as ${names[i]}`);
  return `(select ${[`${handed(0)}::pg_catalog.int4 as rowfleet_row`, ...fields].join(', ')} from ${from} offset 0) as s`;
}

async function lookUp(
  target: Session,
  flow: ResolvedFlow,
  rows: Travelling[],
  { column, lookup, alias, same, keys }: LookedUp,
): Promise<string[]> {
  const given = keys.map((key) => `${key} is not null`).join(' and ');
  const looked = `${alias}_found`;
  const found = await tryQuery(target, 'target', async () =>
    planQuery<{ n: number; given: boolean; found: boolean; value: string | null }>(
      target,
      `select s.rowfleet_row as n, ${given} as given, ${looked}.there is not null as found, ${asCopied(`${looked}.taken`)} as value
         from ${await typedRows(target, flow, rows)}
         left join lateral (select true as there, ${alias}.${ident(lookup.take)} as taken
           from ${qualified(lookup.relation)} as ${alias} where ${same}) as ${looked} on true order by s.rowfleet_row`,
    ),
  );
  if (found.error !== undefined) return [`${column.name} was not looked up: ${found.error.message}`];
  for (const { n, given, found: isThere, value } of found.value.rows) {
    const travelling = rows[n]!;
    travelling.row.values.find((each) => each.column === column.name)!.value = value;
    if (given && !isThere && lookup.missing === 'error')
      refuse(travelling, {
        column: column.name,
        code: 'LOOKUP_MISSED',
        message: `the key for ${column.name} is not in ${display(lookup.relation)}`,
      });
  }
  return [];
}

/** What a row has to hold by itself, and where nothing puts rows of one key together, what keys must be unique. */
async function rulesOf(target: Session, flow: ResolvedFlow): Promise<TargetRules> {
  const { columns, idMap, fusion, backfill } = flow;
  // An id map need not be there yet.
  if (idMap !== undefined) {
    const keys = columns.map(({ name, targetType }) => ({ name, type: targetType, notNull: true }));
    return { columns: keys, checks: [], uniques: [], readsInputErrors: false };
  }
  const rules = await readTargetRules(target, flow);
  return fusion === undefined && backfill === undefined ? rules : { ...rules, uniques: [] };
}

/** NOT NULL, CHECK and unique keys, as far as their columns are known. */
async function judgeRules(target: Session, flow: ResolvedFlow, rows: Travelling[]): Promise<string[]> {
  const known = flow.columns.filter(({ name }) =>
    rows.every(({ row }) => row.values.find(({ column }) => column === name)?.pending === undefined),
  );
  // What is put together of several rows has to hold them only then.
  if (known.length === 0 || rows.length === 0 || flow.fusion?.rule === 'merge') return [];
  const read = await tryQuery(target, 'target', () => rulesOf(target, { ...flow, columns: known }));
  if (read.error !== undefined) return [`its table was not looked at: ${read.error.message}`];
  const rules = read.value;
  const records = rows.map(({ row }, n): HandedRecord => {
    const value = (name: string) => row.values.find(({ column }) => column === name)!.value;
    return [`(${n},1)`, ...known.map(({ name }) => value(name))];
  });
  const from = await handOver(target, 'sampled', 'rules', records);
  const fields = known.map((_, i) => `${handed(i + 1)} as c${i + 1}`);
  const stage = `(select ${[`${handed(0)} as tid`, ...fields].join(', ')} from ${from})`;
  const remarks: string[] = [];
  for (const { sql, refusal } of ruleChecks(rules, stage, qualified(flow.target))) {
    const found = await tryQuery(target, 'target', () =>
      planQuery<{ tid: string; behind?: string | null }>(target, sql),
    );
    const { code = '', ...what } = refusal;
    if (found.error !== undefined)
      remarks.push(`${what.constraint ?? what.column} was not looked at: ${found.error.message}`);
    else {
      for (const { tid, behind } of found.value.rows) {
        // Rows of several groups may be those of one.
        if (behind && flow.grouping?.kind === 'group') continue;
        refuse(rows[Number(/\d+/.exec(tid)![0])]!, {
          code,
          ...what,
          message:
            code === sqlStates.uniqueViolation
              ? `its key is ${behind ? 'twice in this sample' : 'in the table already'}`
              : refusalMessage(code, []),
          ...(code === sqlStates.uniqueViolation && { hint: true as const }),
        });
      }
    }
  }
  return remarks;
}

function travellingOf(plan: ResolvedPlan, flow: ResolvedFlow, texts: HandedRecord): Travelling {
  let next = 0;
  const values = flow.columns.map((column): SampledValue => {
    const own = texts.slice(next, next + carriedFor(column).length);
    next += own.length;
    if (column.lookup === undefined) return { column: column.name, value: own[0]! };
    const pending = own.includes(null) ? undefined : fills(plan, column.lookup);
    return { column: column.name, value: null, ...(pending !== undefined && { pending }) };
  });
  return { texts, row: { values, refusals: [] } };
}

const inOrder = ({ row }: Travelling): boolean => row.refusals.length === 0;

/**
 * Says of rows that a flow yields what the target would make of them, and nothing is written: types, keys that are looked up, NOT NULL, CHECK
 * and unique keys. `target` is in a transaction with the plan's search_path. Rows come back in their order, with values as the target will hold them.
 * @param yielded of each row the texts of what travels
 */
export async function judge(
  target: Session,
  plan: ResolvedPlan,
  flow: ResolvedFlow,
  yielded: HandedRecord[],
): Promise<{ rows: SampledRow[]; remarks: string[] }> {
  const rows = yielded.map((texts) => travellingOf(plan, flow, texts));
  const remarks = await judgeTypes(target, flow, rows);
  remarks.push(...(await settle(target, flow, rows.filter(inOrder))));
  for (const lookedUp of layOut(flow).lookups)
    if (fills(plan, lookedUp.lookup) === undefined)
      remarks.push(...(await lookUp(target, flow, rows.filter(inOrder), lookedUp)));
  remarks.push(...(await judgeRules(target, flow, rows.filter(inOrder))));
  return { rows: rows.map(({ row }) => row), remarks };
}
