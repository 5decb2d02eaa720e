import { type Column, readColumns } from '../catalog/columns.ts';
import { Relations, readRelations } from '../catalog/relations.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { CopyFormat } from '../wire/relay-types.ts';
import { newIdTypes } from './id-maps.ts';
import type { ConflictRule } from './plan.ts';
import { writtenTransform } from './read/transform.ts';
import type { Fusion, ResolvedColumn, ResolvedFlow, ResolvedPlan, ResolvedTarget } from './resolved-plan.ts';
import { factsOf } from './sql/facts.ts';
import { type FindTable, Lineage, tableItem } from './sql/lineage.ts';
import { findRelation } from './sql/names.ts';
import { isFault, type Piece, type Place, parsePiece } from './sql/piece.ts';
import type { Item, Origin } from './sql/scope.ts';
import { nameOf } from './sql/text.ts';
import { carried, carriedFor } from './statements/select.ts';

/** A value on its way: the expression, what it is made of, and what becomes of it. */
export interface ExplainedValue {
  /** As the plan has it. */
  expression: string;
  /** The source columns that it is made of; none for a constant. */
  from: Origin[];
  /** `format_type` on either side. */
  sourceType: string;
  targetType: string;
  /** The type that it is cast to on the source; absent where it needs none. */
  cast?: string;
}

/** One target column's way. */
export type ExplainedColumn = { name: string } & (
  | ({ way: 'expression' } & ExplainedValue)
  /** What stands in `take` where the columns of `by` equal these values. */
  | {
      way: 'lookup';
      table: string;
      take: string;
      by: ({ name: string } & ExplainedValue)[];
      targetType: string;
    }
  /** The flow's transform makes it. */
  | { way: 'transform'; targetType: string }
  /** No flow brings a value: what the target puts in, or what an id map gives each old key. */
  | { way: 'left out'; instead: 'default' | 'identity' | 'generated' | 'null' | 'new'; targetType: string }
);

/** One flow's way from its driving table to its target table. */
export interface ExplainedFlow {
  name: string;
  from: string;
  alias: string;
  join: string;
  where: string;
  to: string;
  /** How rows travel: as the bytes of a COPY. */
  format: CopyFormat;
  grouping?: { kind: 'group' | 'window'; by: string[] };
  /** What rows with one key become one by: the rule, the target columns, the order as in ORDER BY. */
  fusion?: { rule: ConflictRule; key: string[]; order: string[] };
  /** The flow in whose read of the source its rows come along. */
  readWith?: string;
  /** Its rows are updated where they stand, found by these columns. */
  backfill?: { key: string[] };
  /** The function that makes the rows, as the plan names it, and what it is given. */
  transform?: { by: string; input: ({ name: string } & ExplainedValue)[] };
  columns: ExplainedColumn[];
}

const castOf = ({ expression, copyExpression }: ResolvedColumn): string | undefined =>
  copyExpression === expression ? undefined : /\)::pg_catalog\."?([^"]+)"?$/.exec(copyExpression)?.[1];

/** Texts of a flow as the grammar reads them; they were sound when the plan was resolved. */
async function piecesOf(
  flow: ResolvedFlow,
): Promise<{ join?: Piece; input: ResolvedColumn[]; values: Map<ResolvedColumn, Piece> }> {
  const parse = async (place: Place, text: string) => {
    const piece = await parsePiece(place, text);
    return isFault(piece) ? undefined : piece;
  };
  const join = flow.join === '' ? undefined : await parse('join', flow.join);
  const values = new Map<ResolvedColumn, Piece>();
  const input = flow.transform === undefined ? [] : carried(flow);
  const given = flow.transform === undefined ? flow.columns.flatMap(carriedFor) : input;
  for (const column of given) {
    // Its way is known already: a plan of many tables has thousands of these.
    if (column.sourceColumn !== undefined) continue;
    const piece = await parse('column', column.expression);
    if (piece) values.set(column, piece);
  }
  return { ...(join && { join }), input, values };
}

type Pieces = Awaited<ReturnType<typeof piecesOf>>;

/** The columns of every table that the texts name, read in one go. */
async function tablesOf(
  source: Session,
  relations: Relations,
  searchPath: string[],
  pieces: Pieces[],
): Promise<FindTable> {
  const relationOf = (parts: string[]) => {
    const [name, schema] = parts.toReversed();
    return findRelation(relations, searchPath, { name: name!, ...(schema === undefined ? {} : { schema }) })
      .relation;
  };
  const named = pieces
    .flatMap(({ join, values }) => [...(join ? [join] : []), ...values.values()])
    .flatMap((piece) => factsOf(piece).tables)
    .flatMap(({ parts }) => relationOf(parts) ?? []);
  const columns = await readColumns(source, [...new Set(named.map(({ oid }) => oid))]);
  return (parts) => {
    const relation = relationOf(parts);
    const all = relation && columns.get(relation.oid);
    return relation && all && { name: display(relation), columns: all.map(({ name }) => name) };
  };
}

function explainColumns(
  flow: ResolvedFlow,
  { input, values }: Pieces,
  lineage: Lineage,
  items: Item[],
): Pick<ExplainedFlow, 'transform' | 'columns'> {
  const explained = (column: ResolvedColumn): ExplainedValue => {
    const { expression, sourceType, targetType, sourceColumn } = column;
    const cast = castOf(column);
    const from =
      sourceColumn === undefined
        ? lineage.originsOf(values.get(column)?.tree, { items, named: new Map() })
        : [{ table: display(flow.driving), column: sourceColumn }];
    return { expression, from, sourceType, targetType, ...(cast === undefined ? {} : { cast }) };
  };
  const { transform } = flow;
  if (transform !== undefined)
    return {
      transform: {
        by: writtenTransform(transform),
        input: input.map((column) => ({ name: column.name, ...explained(column) })),
      },
      columns: flow.columns.map(({ name, targetType }) => ({ name, way: 'transform', targetType })),
    };
  const columns = flow.columns.map((column): ExplainedColumn => {
    const { name, lookup, targetType } = column;
    if (!lookup) return { name, way: 'expression', ...explained(column) };
    const by = lookup.by.map((key) => ({ name: key.name, ...explained(key) }));
    return { name, way: 'lookup', table: display(lookup.relation), take: lookup.take, by, targetType };
  });
  return { columns };
}

function explainFusion({ rule, key, order }: Fusion): ExplainedFlow['fusion'] {
  const items = order.map(({ column, descending, nullsFirst }) => {
    // As in ORDER BY, where NULLs come last, but first under DESC.
    const nulls = nullsFirst === descending ? '' : ` nulls ${nullsFirst ? 'first' : 'last'}`;
    return `${column.expression}${descending ? ' desc' : ''}${nulls}`;
  });
  return { rule, key, order: items };
}

function leftOut(columns: Column[], filled: ReadonlySet<string>): ExplainedColumn[] {
  return columns
    .filter(({ name }) => !filled.has(name))
    .map(({ name, type: targetType, generated, identity, hasDefault }) => ({
      name,
      way: 'left out',
      instead: generated ? 'generated' : identity ? 'identity' : hasDefault ? 'default' : 'null',
      targetType,
    }));
}

/** What no expression of the flow fills: where rows are updated in place, the rest stays as it is. */
function unfilled(
  flow: ResolvedFlow,
  targets: ResolvedTarget[],
  columns: Map<number, Column[]>,
): ExplainedColumn[] {
  if (flow.idMap)
    return [{ name: 'new_id', way: 'left out', instead: 'new', targetType: newIdTypes[flow.idMap.new].type }];
  const into = targets.find((each) => display(each) === display(flow.target));
  return into ? leftOut(columns.get(into.oid) ?? [], new Set(flow.columns.map(({ name }) => name))) : [];
}

/**
 * Each target column's way from the source columns that it is made of, flow by flow. Reads only the catalogs; the sessions are those
 * of the databases that the plan was resolved against.
 */
export async function explainPlan(
  plan: ResolvedPlan,
  source: Session,
  target: Session,
): Promise<ExplainedFlow[]> {
  const pieces = await Promise.all(plan.flows.map(piecesOf));
  const relations = new Relations(await readRelations(source));
  const lineage = new Lineage(await tablesOf(source, relations, plan.source.searchPath, pieces));
  const driving = await readColumns(source, [...new Set(plan.flows.map((flow) => flow.driving.oid))]);
  const targets = await readColumns(
    target,
    plan.targets.map(({ oid }) => oid),
  );
  return plan.flows.map((flow, i) => {
    const alias = nameOf({ kind: 'identifier', text: flow.alias })!;
    const columns = (driving.get(flow.driving.oid) ?? []).map(({ name }) => name);
    const own = tableItem(alias, display(flow.driving), columns);
    const { join } = pieces[i]!;
    const items = join ? lineage.itemsOfJoin(join.tree, own) : [own];
    const { transform, columns: explained } = explainColumns(flow, pieces[i]!, lineage, items);
    return {
      ...{ name: flow.name, from: display(flow.driving), alias, join: flow.join, where: flow.where },
      ...{ to: display(flow.target), format: flow.format },
      ...(flow.grouping && { grouping: { kind: flow.grouping.kind, by: flow.grouping.by } }),
      ...(flow.fusion && { fusion: explainFusion(flow.fusion) }),
      ...(flow.readWith && flow.readWith.leader !== flow.name ? { readWith: flow.readWith.leader } : {}),
      ...(flow.backfill && { backfill: flow.backfill }),
      ...(transform && { transform }),
      columns: [...explained, ...unfilled(flow, plan.targets, targets)],
    };
  });
}
