import { kindNames, type Relation } from '../../catalog/relations.ts';
import { display, type RelationName } from '../../pg/quote.ts';
import type { PathSegment } from '../path.ts';
import type { Leaf } from '../resolved-plan.ts';
import { type Found, writeName } from '../sql/names.ts';
import type { ResolveContext, Side } from './context.ts';

/** Reports a name that leads to no relation. */
export function reportMissing(
  ctx: ResolveContext,
  side: 'source' | 'target',
  path: PathSegment[],
  text: string,
  found: Found,
): void {
  if (found.relation) return;
  const near = found.nearest;
  const hint =
    near === undefined
      ? side === 'target'
        ? 'Create it there, or name the file that creates it under schema.'
        : `Its search_path is ${ctx[side].searchPath.join(', ') || 'empty'}.`
      : `Did you mean ${near}?`;
  ctx.problems.error(path, `there is no table ${text} in the ${side}`, hint);
}

function readable(ctx: ResolveContext, relation: Relation, path: PathSegment[]): boolean {
  const { role } = ctx.source.facts;
  if (relation.rowSecurity) {
    ctx.problems.error(
      path,
      `row-level security of ${display(relation)} applies to ${role} in the source: rows would be missing`,
      'Use its owner, a superuser, or a role with BYPASSRLS.',
    );
  } else if (!relation.canSelect) {
    ctx.problems.error(
      path,
      `${role} may not read ${display(relation)} in the source`,
      `grant select on ${writeName(relation, [])} to ${role}, and usage on its schema.`,
    );
  } else {
    return true;
  }
  return false;
}

const hasStorage = (relation: Relation): boolean => relation.kind === 'r' || relation.kind === 'm';

const relationName = ({ schema, name }: Relation): RelationName => ({ schema, name });

/** Whether each piece of a driving table can be read as one; `only` leaves its children out. */
export function resolveLeaves(
  ctx: ResolveContext,
  driving: Relation,
  only: boolean,
  path: PathSegment[],
): { leaves: Leaf[]; reads: RelationName[] } | undefined {
  const tree = only ? [driving] : ctx.source.relations.tree(driving);
  if (!tree.map((relation) => readable(ctx, relation, path)).every(Boolean)) return undefined;
  const leaves = tree
    .filter(({ kind }) => kind !== 'p')
    .map((relation) => ({ ...relationName(relation), oid: relation.oid, hasCtid: hasStorage(relation) }));
  return { leaves, reads: lockable(tree) };
}

/** What LOCK TABLE takes and a rewrite could pull away: tables, partitioned ones and their leaves. */
export function lockable(relations: Relation[]): RelationName[] {
  const tables = relations.filter(({ kind }) => kind === 'r' || kind === 'p').map(relationName);
  // Always the same order: it is part of the plan's hash, and locks are taken in it.
  return tables.sort((a, b) => (display(a) < display(b) ? -1 : 1));
}

/** Every relation that a statement reads, with the leaves of each. */
export function withTrees(side: Side, oids: number[]): Relation[] {
  const found = new Map<number, Relation>();
  for (const oid of oids) {
    const relation = side.relations.byOid(oid);
    for (const member of relation ? side.relations.tree(relation) : []) found.set(member.oid, member);
  }
  return [...found.values()];
}

function refusalOfTarget(
  ctx: ResolveContext,
  target: Relation,
  updates: boolean,
): [message: string, hint: string] | undefined {
  const { role } = ctx.target.facts;
  const name = display(target);
  if (target.kind !== 'r' && target.kind !== 'p')
    return [`${name} is a ${kindNames[target.kind]} in the target`, 'Rows can only be loaded into tables.'];
  const members = target.kind === 'p' ? ctx.target.relations.tree(target) : [target];
  const temporary = members.find(({ persistence }) => persistence !== 'p');
  if (temporary) {
    const hint = `A crash of the server would empty it: alter table ${writeName(temporary, [])} set logged.`;
    return [
      `${display(temporary)} is ${temporary.persistence === 'u' ? 'unlogged' : 'temporary'} in the target`,
      hint,
    ];
  }
  const foreign = members.find(({ kind }) => kind === 'f');
  if (foreign)
    return [
      `the partition ${display(foreign)} is a foreign table`,
      'Its rows could not commit together with the ledger: detach it for the run.',
    ];
  if (members.some(({ rowSecurity }) => rowSecurity))
    return [
      `row-level security of ${name} applies to ${role} in the target: rows would be hidden from the validator`,
      'Use its owner, a superuser, or a role with BYPASSRLS.',
    ];
  // Nothing is inserted or taken down; whether its rows may be updated the server tells of the statement itself.
  if (updates) return undefined;
  if (!target.canInsert || !target.canSelect)
    return [
      `${role} may not ${target.canInsert ? 'read' : 'write to'} ${name} in the target`,
      `grant select, insert on ${writeName(target, [])} to ${role}, and usage on its schema.`,
    ];
  if (!target.owned)
    return [
      `${role} does not own ${name} in the target`,
      'Indexes and foreign keys come down and back during a run, which only its owner may do.',
    ];
  return undefined;
}

/** Whether a table can be loaded, or, with `updates`, its rows updated where they stand; says why not. */
export function loadable(
  ctx: ResolveContext,
  target: Relation,
  path: PathSegment[],
  updates = false,
): boolean {
  const refusal = refusalOfTarget(ctx, target, updates);
  if (refusal) ctx.problems.error(path, ...refusal);
  return refusal === undefined;
}
