import { RowfleetError } from '../../errors.ts';
import { handed, handOver } from '../../pg/hand-over.ts';
import { display, ident, qualified } from '../../pg/quote.ts';
import { planQuery } from '../../plan/sql/query.ts';
import { stageFor } from '../../transform/batch.ts';
import { relay } from '../../wire/relay.ts';
import { landingOf } from '../landing.ts';
import { insertWritten } from '../mend/insert-edited.ts';
import { applyDifference, proveApplied } from './difference.ts';
import { type OwnRows, ownRows } from './own-rows.ts';
import { amongCondition, asWritten, betweenConditions, copyOutOfScope, type Scope } from './scope.ts';
import { refuseInbound } from './spread.ts';
import { type DeriveContext, names, stage, stageTable, type Terms, termsOf, vanished } from './terms.ts';
import { silenceTriggers } from './triggers.ts';

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

async function stageScope(ctx: DeriveContext, scope: Scope): Promise<{ rows: number; bytes: number }> {
  const { flow, source, target, signal, onBytes } = ctx;
  await target.query(
    `create temporary table rowfleet_stage on commit drop as
       select ${names(flow)} from ${qualified(flow.target)} with no data`,
  );
  const landing = landingOf(flow, stageTable);
  await landing.open(target);
  const { rowsIn, bytes } = await relay(
    { session: source, statement: copyOutOfScope(flow, scope) },
    { session: target, statement: landing.statement },
    { signal, onBytes, through: stageFor(ctx.transforms, flow, { signal }) },
  );
  const rows = (await landing.close(target)) ?? rowsIn;
  await target.query(`analyze ${stage}`);
  return { rows, bytes };
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
  if (scope.kind === 'batch') return undefined;
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
  { flow, target, kept = [] }: DeriveContext,
  { table, sameKey }: Terms,
  key: string[],
  own: string,
): Promise<number> {
  const known = kept.map((row) => key.map((name) => row[name])).filter((values) => values.every(isText));
  const from = await handOver(target, 'kept', flow.name, known);
  const types = new Map(flow.columns.map(({ name, targetType }) => [name, targetType]));
  const sameKept = key.map((name, i) => `t.${ident(name)} = ${handed(i)}::${types.get(name)}`).join(' and ');
  await target.query(
    'create temporary table rowfleet_vanished (relation pg_catalog.oid, place pg_catalog.tid) on commit drop',
  );
  const { rowCount } = await planQuery(
    target,
    `insert into ${vanished} select t.tableoid, t.ctid from ${table} as t
      where ${own} and not exists (select from ${stage} s where ${sameKey})
        and not exists (select from ${from} where ${sameKept}) for update of t`,
  );
  if (rowCount !== 0) await target.query(`analyze ${vanished}`);
  return rowCount ?? 0;
}

/** Fills a table anew whose rows nothing tells apart; what people wrote comes back as they wrote it. */
async function replaceAll(
  ctx: DeriveContext,
  { table }: Terms,
): Promise<{ inserted: number; deleted: number }> {
  const { flow, target, down, kept = [] } = ctx;
  await refuseInbound(target, flow.target, down);
  const restore = await silenceTriggers(target, flow.target);
  const { rows } = await target.query<{ n: string }>(`select pg_catalog.count(*) as n from ${table} as t`);
  await target.query(`truncate ${table}`);
  const { rowCount } = await planQuery(
    target,
    `insert into ${qualified(flow.target)} (${names(flow)}) overriding system value select ${names(flow)} from ${stage}`,
  );
  for (const row of kept) await insertWritten(target, flow, row);
  await restore();
  return { inserted: rowCount ?? 0, deleted: Number(rows[0]!.n) };
}

async function deriveStaged(ctx: DeriveContext, scope: Scope): Promise<Derived> {
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

/**
 * Makes the target's rows of a scope what the mapping yields for it now: staged, then updated where they differ, inserted
 * where they are missing, deleted where they vanished; user triggers do not fire. All in the target transaction that
 * the caller has open. Throws RELOAD_REFUSED, RELOAD_SPREADS, KEY_DOUBLED, ROWS_DIFFER, and RowRefused for a key that is not there.
 */
export async function derive(ctx: DeriveContext, scope: Scope): Promise<Derived> {
  const derived = await deriveStaged(ctx, scope);
  // The transaction may derive for another table, too.
  await ctx.target.query(`drop table ${stage}; drop table if exists ${vanished}`);
  return derived;
}
