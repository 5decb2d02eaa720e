import { type Column, readUniqueKeys } from '../../catalog/columns.ts';
import { formatTypes } from '../../catalog/data-types.ts';
import { display } from '../../pg/quote.ts';
import { flowOfIdMap, idMapTable, newIdTypes, oldColumn } from '../id-maps.ts';
import type { PathSegment } from '../path.ts';
import type { IdMapSpec } from '../plan.ts';
import { amount } from '../problems.ts';
import type { ResolvedFlow } from '../resolved-plan.ts';
import type { Describer } from '../sql/describe.ts';
import { planQuery } from '../sql/query.ts';
import { selectRows } from '../statements/select.ts';
import { type MappedColumn, mapColumn, type TypedExpression } from './columns.ts';
import type { KnownIdMap, ResolveContext } from './context.ts';
import { baseType, isBuiltin } from './conversions.ts';
import { type Driving, resolveDriving } from './driving.ts';
import { typeExpressions } from './expressions.ts';
import { proveStatements } from './prove-statements.ts';
import { lockable, withTrees } from './relations.ts';

const text = 25;

const column = (name: string, typeOid: number, type: string): Column => ({
  ...{ name, typeOid, typmod: -1, type, notNull: true },
  ...{ hasDefault: false, identity: false, generated: false, deterministic: true },
});

/** The columns of old keys: of the source's own types where every server has them, else of their text. */
async function oldColumns(ctx: ResolveContext, keys: TypedExpression[]): Promise<Column[]> {
  const { types } = ctx.source;
  const oids = keys.map(({ typeOid }) => {
    const type = baseType(types, types.byOid.get(typeOid)!);
    return isBuiltin(type) && type.kind !== 'p' ? type.oid : text;
  });
  const names = await formatTypes(
    ctx.target.session,
    oids.map((oid) => ({ oid, typmod: -1 })),
  );
  return oids.map((oid, i) => column(oldColumn(i), oid, names[i]!));
}

/** Seconds that the values of a key are counted for where no unique key proves them. */
const countedWithin = 30;

/** Reports a key that is not unique, or NULL somewhere: known from a unique key of the driving table, else by counting. */
async function proveUnique(
  ctx: ResolveContext,
  describer: Describer,
  { relation, columns, frame }: Driving,
  keys: TypedExpression[],
  path: PathSegment[],
): Promise<boolean> {
  const bare = keys.flatMap(({ sourceColumn }) => sourceColumn ?? []);
  const never = (name: string) => columns.find((each) => each.name === name)?.notNull === true;
  const unique = await readUniqueKeys(ctx.source.session, relation.oid);
  if (unique.some((key) => key.every((name) => bare.includes(name) && never(name))) && bare.every(never))
    return true;
  const list = keys.map(({ expression }, i) => `(${expression}\n) as k${i + 1}`);
  const names = keys.map((_, i) => `k${i + 1}`);
  const empty = names.map((name) => `${name} is null`).join(' or ');
  const sql = `with k as (select ${names.join(', ')}, pg_catalog.count(*) as n from (${selectRows(frame, list)}) as r group by ${names.join(', ')})
     select coalesce(pg_catalog.sum(n) filter (where n > 1 and not (${empty})), 0) as rows,
            pg_catalog.count(*) filter (where n > 1 and not (${empty})) as keys,
            coalesce(pg_catalog.sum(n) filter (where ${empty}), 0) as empty from k`;
  if (ctx.count.seconds === 0) return true;
  const within = ctx.count.seconds ?? countedWithin;
  ctx.count.onBegin?.(`old keys that are not unique in ${display(relation)}`, within);
  const counted = await describer.within(within, (session) =>
    planQuery<Record<'rows' | 'keys' | 'empty', string>>(session, sql),
  );
  if (counted.value === undefined) {
    ctx.problems.warning(
      [...path, 'key'],
      `whether it is unique could not be told in ${within} s`,
      'A unique index over it on the source would prove it. What is doubled is found when rows are verified.',
    );
    return true;
  }
  const found = counted.value.rows[0]!;
  if (found.empty !== '0')
    ctx.problems.error(
      [...path, 'key'],
      `it is NULL for ${amount(Number(found.empty))} of the rows of ${display(relation)}`,
      `Leave them out: where: ${keys.map(({ expression }) => `${expression} is not null`).join(' and ')}.`,
    );
  if (found.keys !== '0')
    ctx.problems.error(
      [...path, 'key'],
      `it is not unique in ${display(relation)}: ${amount(Number(found.rows))} rows share ${amount(Number(found.keys))} of its values, and one old key would have several new ones`,
      `Add what tells them apart: key: [${keys.map(({ expression }) => expression).join(', ')}, …].`,
    );
  return found.empty === '0' && found.keys === '0';
}

/** The flow that fills an id map, before any flow that uses it. */
async function resolveIdMap(
  ctx: ResolveContext,
  describer: Describer,
  spec: IdMapSpec,
): Promise<{ flow: ResolvedFlow; known: KnownIdMap } | undefined> {
  const path = ['id_maps', spec.name];
  const driving = await resolveDriving(ctx, describer, spec, path);
  if (!driving) return undefined;
  const known = new Set(driving.columns.map(({ name }) => name));
  const placed = spec.key.map((expression, i) => ({
    text: expression,
    path: spec.key.length === 1 ? [...path, 'key'] : [...path, 'key', i],
  }));
  const typed = await typeExpressions(ctx, describer, driving.frame, known, placed);
  const keys = typed.filter((each) => each !== undefined);
  if (keys.length < typed.length || !(await proveUnique(ctx, describer, driving, keys, path)))
    return undefined;
  const old = await oldColumns(ctx, keys);
  const mapped = keys.map((key, i) => mapColumn(ctx, key, old[i]!, placed[i]!.path));
  if (!mapped.every((each): each is MappedColumn => each !== undefined)) return undefined;
  const flow: ResolvedFlow = {
    name: flowOfIdMap(spec.name),
    ...driving.frame,
    drivingKey: [],
    leaves: driving.leaves,
    target: idMapTable(spec.name),
    columns: mapped.map((each) => each.column),
    idMap: { name: spec.name, new: spec.new },
    format: mapped.every(({ binary }) => binary) ? 'binary' : 'text',
    reads: [],
  };
  const oids = await proveStatements(ctx, describer, flow, path);
  if (!oids) return undefined;
  const reads = lockable(withTrees(ctx.source, [...oids, driving.relation.oid]));
  const { oid, type } = newIdTypes[spec.new];
  return { flow: { ...flow, reads }, known: { name: spec.name, old, new: column('new_id', oid, type) } };
}

/** The flows that fill the id maps of a plan. What flows look up in them is put into the context; what is wrong is reported. */
export async function resolveIdMaps(
  ctx: ResolveContext,
  describer: Describer,
  specs: IdMapSpec[],
): Promise<ResolvedFlow[]> {
  const flows: ResolvedFlow[] = [];
  for (const spec of specs) {
    const resolved = await resolveIdMap(ctx, describer, spec);
    ctx.idMaps.set(spec.name, resolved?.known);
    if (resolved) flows.push(resolved.flow);
  }
  return flows;
}
