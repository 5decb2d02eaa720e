import type { CapturedObject } from '../constraints/types.ts';
import { RowfleetError } from '../errors.ts';
import { sqlState } from '../pg/errors.ts';
import { display, ident, qualified } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { planQuery } from '../plan/plan-query.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/types.ts';
import { type OwnRows, ownRows } from './derive-own-rows.ts';
import { amongCondition, asWritten, betweenConditions, copyOutOfScope, type Scope } from './derive-scope.ts';
import { refuseInbound, refuseSpread } from './derive-spread.ts';
import { silenceTriggers } from './derive-triggers.ts';
import { relay } from './relay.ts';

/** Both sessions are in open transactions: the source's with the plan's path, the target's with the target's. */
export interface DeriveContext {
  plan: ResolvedPlan;
  /** Without the driving rows that are not to be derived. */
  flow: ResolvedFlow;
  source: Session;
  target: Session;
  signal: AbortSignal;
  onBytes: (bytes: number) => void;
  /** Rows that the target table held before the run. */
  rowsBefore: number;
  /** Foreign keys that the run has taken down and not brought back. */
  down: CapturedObject[];
  /** Rows of the flow that people wrote themselves, column → text: never deleted. Defaults to none. */
  kept?: Record<string, string | null>[];
}

/** What a derivation came to, in target rows. */
export interface Derived {
  /** Rows that the scope yields; all of them stand in the target now. */
  rows: number;
  inserted: number;
  updated: number;
  /** Rows of the scope that it yields no more. */
  deleted: number;
  bytes: number;
}

const stage = 'pg_temp.rowfleet_stage';
const vanished = 'pg_temp.rowfleet_vanished';

const names = (flow: ResolvedFlow, alias?: string): string =>
  flow.columns.map(({ name }) => `${alias === undefined ? '' : `${alias}.`}${ident(name)}`).join(', ');

// As a record: two bare rows would be compared column by column.
const record = (flow: ResolvedFlow, alias: string): string => `row(${names(flow, alias)})::pg_catalog.record`;

/** The SQL of one derivation: `t` is the target, `s` the stage. */
interface Terms {
  /** The target for reading and changing; an ordinary table without those that inherit from it. */
  table: string;
  sameKey: string;
  /** Compared as they are stored: 1.0 is not 1.00, and every type has this comparison. */
  differs: string;
}

function termsOf(plan: ResolvedPlan, flow: ResolvedFlow, key: string[]): Terms {
  const target = plan.targets.find((each) => display(each) === display(flow.target));
  return {
    table: `${target?.only === false ? '' : 'only '}${qualified(flow.target)}`,
    sameKey: key.map((name) => `t.${ident(name)} = s.${ident(name)}`).join(' and '),
    differs: `${record(flow, 't')} operator(pg_catalog.*<>) ${record(flow, 's')}`,
  };
}

async function stageScope(ctx: DeriveContext, scope: Scope): Promise<{ rows: number; bytes: number }> {
  const { flow, source, target, signal, onBytes } = ctx;
  await target.query(
    `create temporary table rowfleet_stage on commit drop as
       select ${names(flow)} from ${qualified(flow.target)} with no data`,
  );
  const { rowsIn, bytes } = await relay(
    { session: source, statement: copyOutOfScope(flow, scope) },
    { session: target, statement: `copy ${stage} (${names(flow)}) from stdin (format ${flow.format})` },
    { signal, onBytes },
  );
  await target.query(`analyze ${stage}`);
  return { rows: rowsIn, bytes };
}

async function refuseDoubledKeys({ flow, target }: DeriveContext, key: string[]): Promise<void> {
  const list = key.map(ident).join(', ');
  const { rowCount } = await target.query(
    `select 1 from ${stage} group by ${list} having pg_catalog.count(*) > 1 limit 1`,
  );
  if (rowCount === 0) return;
  throw new RowfleetError(
    'KEY_DOUBLED',
    `${flow.name}: several rows of the source have the same key (${key.join(', ')}) in ${display(flow.target)}`,
    { hint: 'mend the source or the plan, then resume' },
  );
}

/** What a target row is to be to belong to the scope; undefined where nothing is ever deleted. */
async function ownCondition(
  { flow, source }: DeriveContext,
  scope: Scope,
  { lineage, conditions }: OwnRows,
): Promise<string | undefined> {
  if (scope.kind === 'blocks') return undefined;
  const columns = lineage.map(({ name }) => `t.${ident(name)}`);
  const all = [...conditions];
  if (scope.kind === 'keys') {
    const written = await Promise.all(
      lineage.map((column, i) =>
        asWritten(
          source,
          column,
          scope.keys.map((key) => key[flow.drivingKey[i]!]!),
        ),
      ),
    );
    all.push(
      amongCondition(
        columns,
        scope.keys.map((_, row) => written.map((values) => values[row]!)),
      ),
    );
  }
  if (scope.kind === 'range') {
    const given = [scope.from, scope.to].filter((bound) => bound !== null);
    const written = await asWritten(source, lineage[0]!, given);
    const from = scope.from === null ? null : written[0]!;
    const to = scope.to === null ? null : written.at(-1)!;
    all.push(...betweenConditions(columns[0]!, lineage[0]!.sourceType, { from, to }));
  }
  return all.length === 0 ? 'true' : all.join(' and ');
}

const isText = (value: string | null | undefined): value is string => typeof value === 'string';

/** Finds, and locks, the rows that the scope yields no more; nobody can begin to refer to them now. */
async function findVanished(
  { target, kept = [] }: DeriveContext,
  { table, sameKey }: Terms,
  key: string[],
  own: string,
): Promise<number> {
  const known = kept.map((row) => key.map((name) => row[name])).filter((values) => values.every(isText));
  const columns = key.map((name) => `t.${ident(name)}`);
  await target.query(
    'create temporary table rowfleet_vanished (relation pg_catalog.oid, place pg_catalog.tid) on commit drop',
  );
  const { rowCount } = await planQuery(
    target,
    `insert into ${vanished} select t.tableoid, t.ctid from ${table} as t
      where ${own} and not exists (select from ${stage} s where ${sameKey})
        and not ${amongCondition(columns, known)} for update of t`,
  );
  if (rowCount !== 0) await target.query(`analyze ${vanished}`);
  return rowCount ?? 0;
}

/** Columns that an UPDATE may set: an identity that is GENERATED ALWAYS takes no value. */
async function settable({ flow, target }: DeriveContext): Promise<string[]> {
  const { rows } = await target.query<{ name: string }>(
    `select attname::text as name from pg_catalog.pg_attribute
      where attrelid = $1::pg_catalog.regclass and attnum > 0 and attidentity <> 'a'`,
    [qualified(flow.target)],
  );
  const free = new Set(rows.map(({ name }) => name));
  return flow.columns.map(({ name }) => name).filter((name) => free.has(name));
}

type Step = 'update' | 'insert' | 'delete';

async function stepStatements(ctx: DeriveContext, terms: Terms): Promise<Record<Step, string | undefined>> {
  const { flow } = ctx;
  const set = (await settable(ctx)).map((name) => `${ident(name)} = s.${ident(name)}`).join(', ');
  return {
    update:
      set === ''
        ? undefined
        : `update ${terms.table} as t set ${set} from ${stage} s where ${terms.sameKey} and ${terms.differs}`,
    insert: `insert into ${qualified(flow.target)} (${names(flow)}) overriding system value
      select ${names(flow)} from ${stage} s where not exists (select from ${terms.table} as t where ${terms.sameKey})`,
    delete: `delete from ${terms.table} as t using ${vanished} v where t.tableoid = v.relation and t.ctid = v.place`,
  };
}

/** Unique and exclusion violations: a row that goes holds what another is to have. */
const conflicts = new Set(['23505', '23P01']);

/** Rows that go are referred to until the others are changed; so they go first only where that is refused. */
const orders: Step[][] = [
  ['update', 'insert', 'delete'],
  ['delete', 'update', 'insert'],
];

async function take(ctx: DeriveContext, step: Step, statement: string | undefined): Promise<number> {
  ctx.signal.throwIfAborted();
  if (statement === undefined) return 0;
  if (step === 'delete') await refuseSpread(ctx.target, ctx.flow.target, ctx.down, vanished);
  return (await planQuery(ctx.target, statement)).rowCount ?? 0;
}

async function applyDifference(
  ctx: DeriveContext,
  terms: Terms,
  gone: number,
): Promise<Record<Step, number>> {
  const { target } = ctx;
  const statements = await stepStatements(ctx, terms);
  if (gone === 0) statements.delete = undefined;
  for (const [i, order] of orders.entries()) {
    const done: Record<Step, number> = { update: 0, insert: 0, delete: 0 };
    await target.query('savepoint rowfleet_difference');
    try {
      for (const step of order) done[step] = await take(ctx, step, statements[step]);
      await target.query('release savepoint rowfleet_difference');
      return done;
    } catch (error) {
      if (gone === 0 || i > 0 || !conflicts.has(sqlState(error) ?? '')) throw error;
      await target.query('rollback to savepoint rowfleet_difference');
    }
  }
  throw new Error('unreachable: the last order returns or throws');
}

/** What was derived stands in the target, to the byte. */
async function proveApplied(
  { flow, target }: DeriveContext,
  terms: Terms,
  notDeleted: number,
): Promise<void> {
  const { rows } = await target.query<{ n: string }>(
    `select pg_catalog.count(*) as n from ${stage} s
      where not exists (select from ${terms.table} as t where ${terms.sameKey} and not ${terms.differs})`,
  );
  const wrong = Number(rows[0]!.n) + notDeleted;
  if (wrong === 0) return;
  throw new RowfleetError(
    'ROWS_DIFFER',
    `${flow.name}: ${wrong} rows of ${display(flow.target)} are not what was written to them`,
    {
      hint: 'a rule, a trigger or an identity column of the target keeps other values: mend it, then resume',
    },
  );
}

/** Fills a table anew whose rows nothing tells apart. */
async function replaceAll(
  ctx: DeriveContext,
  { table }: Terms,
): Promise<{ inserted: number; deleted: number }> {
  const { flow, target, down } = ctx;
  await refuseInbound(target, flow.target, down);
  const restore = await silenceTriggers(target, flow.target);
  const { rows } = await target.query<{ n: string }>(`select pg_catalog.count(*) as n from ${table} as t`);
  await target.query(`truncate ${table}`);
  const { rowCount } = await target.query(
    `insert into ${qualified(flow.target)} (${names(flow)}) overriding system value select ${names(flow)} from ${stage}`,
  );
  await restore();
  return { inserted: rowCount ?? 0, deleted: Number(rows[0]!.n) };
}

/**
 * Makes the target's rows of a scope what the mapping yields for it now: staged, then updated where they differ, inserted
 * where they are missing, deleted where they vanished; user triggers do not fire. All in the target transaction that
 * the caller has open. Throws RELOAD_REFUSED, RELOAD_SPREADS, KEY_DOUBLED, ROWS_DIFFER.
 */
export async function derive(ctx: DeriveContext, scope: Scope): Promise<Derived> {
  const { plan, flow, target } = ctx;
  const own = ownRows(plan, flow, scope.kind, ctx.rowsBefore);
  const condition = await ownCondition(ctx, scope, own);
  const { rows, bytes } = await stageScope(ctx, scope);
  const terms = termsOf(plan, flow, own.key);
  if (own.key.length === 0) return { rows, bytes, updated: 0, ...(await replaceAll(ctx, terms)) };
  await refuseDoubledKeys(ctx, own.key);
  const restore = await silenceTriggers(target, flow.target);
  const gone = condition === undefined ? 0 : await findVanished(ctx, terms, own.key, condition);
  const { update, insert, delete: deleted } = await applyDifference(ctx, terms, gone);
  await restore();
  await proveApplied(ctx, terms, gone - deleted);
  return { rows, bytes, inserted: insert, updated: update, deleted };
}
