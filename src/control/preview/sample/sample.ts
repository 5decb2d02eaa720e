import { readColumns } from '../../../catalog/columns.ts';
import type { Estimate } from '../../../copy/estimate.ts';
import { display, ident, literal, qualified } from '../../../pg/quote.ts';
import type { Session } from '../../../pg/session.ts';
import { setSearchPath } from '../../../pg/transaction.ts';
import type { ResolvedFlow, ResolvedPlan } from '../../../plan/resolved-plan.ts';
import { planQuery } from '../../../plan/sql/query.ts';
import {
  asCopied,
  carried,
  isCutByKey,
  leaderOf,
  readTogether,
  selectRows,
} from '../../../plan/statements/select.ts';
import { judge } from './judge.ts';
import { type Place, pickSpread, pickYielding } from './pick.ts';
import { type CallTransform, openForSample } from './transformed.ts';
import type { DrivingSample, FlowSample, SampledOutput, SampledValue } from './types.ts';
import {
  listOf,
  refusalOf,
  selectAt,
  textsOf,
  transformed,
  tryQuery,
  type Yielded,
  yieldedAt,
} from './yielded.ts';

/** Milliseconds that one statement of a sample may take. */
const timeoutMs = 5_000;
/** Characters of a value of the driving row that are shown. */
const mostCharacters = 4_000;

interface Sides {
  source: Session;
  target: Session;
  /** The plan's folder. */
  folder: string;
}

/** Reads rows of one flow. */
interface Reader {
  source: Session;
  call: CallTransform | undefined;
}

/** A driving row with what it yields for each output of its flow. */
interface Raw {
  before: SampledValue[];
  outputs: { flow: ResolvedFlow; yielded: Yielded }[];
}

const nothing: Yielded = { rows: [], more: false, tooLarge: false, refusals: [] };

/** The driving table's columns whose names stand in the flow's texts; all of them where none does. */
async function usedColumns(source: Session, flows: ResolvedFlow[]): Promise<string[]> {
  const [{ driving, drivingKey }] = flows as [ResolvedFlow];
  const columns = ((await readColumns(source, [driving.oid])).get(driving.oid) ?? []).map(({ name }) => name);
  const text = flows
    .flatMap((flow) => [
      ...carried(flow).map(({ copyExpression }) => copyExpression),
      ...[flow.join, flow.where, ...(flow.grouping?.by ?? [])],
    ])
    .join('\n')
    .toLowerCase();
  const words = new Set(text.match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? []);
  const isUsed = (name: string) =>
    drivingKey.includes(name) || words.has(name.toLowerCase()) || text.includes(ident(name).toLowerCase());
  const used = columns.filter(isUsed);
  return used.length === 0 ? columns : used;
}

const named = (columns: string[], texts: (string | null)[]): SampledValue[] =>
  columns.map((column, i) => ({ column, value: texts[i] ?? null }));

const shown = (alias: string) => (column: string) =>
  `pg_catalog.left(${asCopied(`${alias}.${ident(column)}`)}, ${mostCharacters})`;

async function readBefore(source: Session, { leaf, tid }: Place, columns: string[]): Promise<SampledValue[]> {
  const { rows } = await source.query<{ texts: string[] }>(
    `select array[${columns.map(shown('d')).join(', ')}]::pg_catalog.text[] as texts
       from only ${qualified(leaf)} as d where d.ctid = ${literal(tid)}::pg_catalog.tid`,
  );
  return named(columns, rows[0]?.texts ?? []);
}

async function readAt(
  { source, call }: Reader,
  flows: ResolvedFlow[],
  place: Place,
  columns: string[],
): Promise<Raw> {
  const [leader] = flows as [ResolvedFlow];
  const at = await selectAt(source, leader, place);
  const outputs: Raw['outputs'] = [];
  for (const flow of flows) outputs.push({ flow, yielded: await yieldedAt(source, flow, at, call) });
  return { before: await readBefore(source, place, columns), outputs };
}

/** Rows of what has no places in it, a view say: as they come. */
async function readUnplaced(
  { source, call }: Reader,
  flow: ResolvedFlow,
  columns: string[],
  most: number,
): Promise<Raw[]> {
  const own = flow.grouping?.kind === 'group' ? [] : columns;
  const before = own.map((column, i) => `${flow.alias}.${ident(column)} as b${i + 1}`);
  const select = selectRows(flow, [...listOf(flow), ...before]);
  const texts = own.map((_, i) => `pg_catalog.left(${asCopied(`r.b${i + 1}`)}, ${mostCharacters})`);
  const sql = textsOf(`${select} limit ${most}`, carried(flow).length, [
    `array[${texts.join(', ')}]::pg_catalog.text[] as before`,
  ]);
  const read = await tryQuery(source, 'source', () =>
    planQuery<{ before: string[]; texts: string[] | null }>(source, sql),
  );
  if (read.error !== undefined)
    return [{ before: [], outputs: [{ flow, yielded: { ...nothing, refusals: [refusalOf(read.error)] } }] }];
  const raws: Raw[] = [];
  for (const row of read.value.rows.slice(0, most)) {
    const rows = row.texts === null ? [] : [row.texts];
    const yielded = await transformed(call, { ...nothing, rows, tooLarge: row.texts === null });
    raws.push({ before: named(own, row.before), outputs: [{ flow, yielded }] });
  }
  return raws;
}

const yieldsSome = ({ outputs }: Raw): boolean =>
  outputs.some(({ yielded }) => yielded.rows.length > 0 || yielded.refusals.length > 0);

const textOf = (raw: Raw): string => JSON.stringify(raw.outputs.map(({ yielded }) => yielded.rows));

async function readPlaces(
  reader: Reader,
  flows: ResolvedFlow[],
  blocks: number[],
  columns: string[],
  most: number,
): Promise<{ raws: Raw[]; remarks: string[] }> {
  const { source } = reader;
  const [leader] = flows as [ResolvedFlow];
  const read = async (places: Place[]) => {
    const raws: Raw[] = [];
    for (const place of places) raws.push(await readAt(reader, flows, place, columns));
    return raws;
  };
  const spread = await read(await pickSpread(source, leader, blocks, most));
  const isGroup = leader.grouping?.kind === 'group';
  // Rows of one group become the same.
  const raws = isGroup
    ? [...new Map(spread.map((raw) => [yieldsSome(raw) ? textOf(raw) : raw, raw])).values()]
    : spread;
  if (raws.length === 0 || raws.some(yieldsSome)) return { raws, remarks: [] };
  const picked = await tryQuery(source, 'source', async () => pickYielding(source, leader, most));
  const more = picked.error === undefined ? await read(picked.value) : [];
  if (more.length === 0) return { raws, remarks: ['no row of the sample becomes anything'] };
  return {
    raws: [...raws.slice(0, 1), ...more.slice(0, Math.max(1, most - 1))],
    remarks: ['rows that are spread over the table become nothing: these are the first ones that do'],
  };
}

/** Holds what all rows yield for one output against the target, and puts it where it belongs. */
async function judgeOutput(target: Session, plan: ResolvedPlan, flow: ResolvedFlow, raws: Raw[]) {
  const yields = raws.map(({ outputs }) => outputs.find((output) => output.flow === flow)!.yielded);
  const { rows, remarks } = await judge(
    target,
    plan,
    flow,
    yields.flatMap((yielded) => yielded.rows),
  );
  const outputs = yields.map(({ more, none, refusals, ...yielded }): SampledOutput => {
    const own = rows.splice(0, yielded.rows.length);
    const what = { flow: flow.name, to: display(flow.target), rows: own, more, refusals };
    const why = yielded.tooLarge && own.length === 0 ? 'too large to be shown' : none;
    return { ...what, ...(why !== undefined && { none: why }) };
  });
  return { outputs, remarks };
}

async function sampleFlow(
  { source, target, folder }: Sides,
  plan: ResolvedPlan,
  leader: ResolvedFlow,
  estimate: Estimate,
  most: number,
): Promise<FlowSample> {
  const flows = readTogether(plan, leader);
  const reader = { source, call: await openForSample(leader, folder) };
  const columns = await usedColumns(source, flows);
  const hasPlaces = leader.leaves.every((leaf) => leaf.hasCtid);
  const blocks = await blocksOf(source, leader, estimate);
  const { raws, remarks } = hasPlaces
    ? await readPlaces(reader, flows, blocks, columns, most)
    : { raws: await readUnplaced(reader, leader, columns, most), remarks: [] };
  const rows: DrivingSample[] = raws.map(({ before }) => ({ before, outputs: [] }));
  for (const flow of hasPlaces ? flows : [leader]) {
    const judged = await judgeOutput(target, plan, flow, raws);
    for (const [i, output] of judged.outputs.entries()) rows[i]!.outputs.push(output);
    remarks.push(...judged.remarks.map((remark) => `${flow.name}: ${remark}`));
  }
  return {
    flow: leader.readWith?.flow ?? leader.name,
    from: display(leader.driving),
    of: leader.grouping?.kind === 'group' ? 'group' : 'row',
    rows,
    remarks,
  };
}

/** Blocks of each leaf; what a flow is cut by may be another number. */
async function blocksOf(source: Session, flow: ResolvedFlow, { cut }: Estimate): Promise<number[]> {
  if (!isCutByKey(flow)) return cut.blocks;
  const { rows } = await source.query<{ blocks: number }>(
    `select pg_catalog.ceil(pg_catalog.pg_relation_size(l.oid::oid) / pg_catalog.current_setting('block_size')::float8) as blocks
       from pg_catalog.unnest($1::pg_catalog.int8[]) with ordinality as l (oid, n) order by l.n`,
    [flow.leaves.map(({ oid }) => oid)],
  );
  return rows.map(({ blocks }) => blocks);
}

/**
 * Shows for each flow what some driving rows become, and which of these the databases would refuse, by which column, and why. Only reads:
 * `source` is in a read-only transaction with the plan's search_path, `target` in one whose search_path is set and put back.
 * @param most driving rows of each flow
 */
export async function samplePlan(
  sides: Sides,
  plan: ResolvedPlan,
  estimates: Estimate[],
  most: number,
): Promise<FlowSample[]> {
  if (most === 0) return [];
  const { source, target } = sides;
  const samples: FlowSample[] = [];
  await setSearchPath(target, plan.target.searchPath);
  for (const session of [source, target]) await session.query(`set local statement_timeout = ${timeoutMs}`);
  for (const [i, flow] of plan.flows.entries())
    if (leaderOf(flow) === flow.name) samples.push(await sampleFlow(sides, plan, flow, estimates[i]!, most));
  for (const session of [source, target]) await session.query('set local statement_timeout = 0');
  await setSearchPath(target, []);
  return samples;
}
