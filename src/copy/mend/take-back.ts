import { RowfleetError } from '../../errors.ts';
import { readObjects } from '../../ledger/objects.ts';
import type { Refusal } from '../../ledger/quarantine.ts';
import type { SentRow } from '../../ledger/sent-rows.ts';
import { safeMessage } from '../../pg/errors.ts';
import { classify } from '../../pg/failure-class.ts';
import { display, ident, qualified } from '../../pg/quote.ts';
import { underSavepoint } from '../../pg/transaction.ts';
import type { ResolvedFlow } from '../../plan/resolved-plan.ts';
import type { RelayTally } from '../../wire/relay-types.ts';
import type { CopyBatchInput } from '../batch-input.ts';
import { refusalOf, traceOf } from '../corner/refusal.ts';
import { applyDifference, proveApplied } from '../derive/difference.ts';
import { refuseSpread } from '../derive/spread.ts';
import {
  type DeriveContext,
  names,
  record,
  stage,
  stageTable,
  type Terms,
  termsOf,
  vanished,
} from '../derive/terms.ts';
import { tryLoadRange } from '../load-range.ts';
import { type FoundAt, findRow } from './find-row.ts';
import { insertWritten } from './insert-edited.ts';

type There = Extract<FoundAt, { kind: 'there' }>;

/** What became of a row whose edit was to be taken back. */
export type TakenBack =
  | ({ kind: 'loaded'; how: string } & RelayTally)
  /** Refused as the plan yields it; what was edited is out of the target. */
  | { kind: 'refused'; refusal: Refusal; trace?: string | null; found: There | null }
  /** Nothing was changed, and why. */
  | { kind: 'kept'; why: string };

interface Undoing {
  input: CopyBatchInput;
  ctx: DeriveContext;
  terms: Terms;
  /** Columns that tell the target's rows apart; none: the rows as they were written do. */
  key: string[];
}

const standing = 'pg_temp.rowfleet_standing';
const written = { schema: 'pg_temp', name: 'rowfleet_written' };

/** Finds, and locks, the target rows that an edit stands for: `standing` has their places. */
async function findStanding({ ctx, terms, key }: Undoing, row: SentRow): Promise<void> {
  const { flow, target } = ctx;
  const columns = `select ${names(flow)} from ${qualified(flow.target)} with no data`;
  await target.query(
    `create temporary table rowfleet_written on commit drop as ${columns};
     create temporary table rowfleet_stage on commit drop as ${columns};
     create temporary table rowfleet_standing (relation pg_catalog.oid, place pg_catalog.tid) on commit drop;
     create temporary table rowfleet_vanished (relation pg_catalog.oid, place pg_catalog.tid) on commit drop`,
  );
  const same =
    key.length > 0
      ? key.map((name) => `t.${ident(name)} = w.${ident(name)}`).join(' and ')
      : `${record(flow, 't')} operator(pg_catalog.*=) ${record(flow, 'w')}`;
  // One by one: of two rows that nothing tells apart each takes one.
  for (const values of row.edited ?? []) {
    await target.query(`truncate ${qualified(written)}`);
    await insertWritten(target, { ...flow, target: written }, values);
    await target.query(
      `insert into ${standing} select t.tableoid, t.ctid from ${terms.table} as t, ${qualified(written)} as w
        where ${same} and not exists (select from ${standing} s where s.relation = t.tableoid and s.place = t.ctid)
        limit 1 for update of t`,
    );
  }
}

const places = (alias: string) =>
  `exists (select from ${standing} p where p.relation = ${alias}.tableoid and p.place = ${alias}.ctid)`;

/** Throws where a row that is staged has the key of one that the edit did not write. */
async function refuseOthers({ ctx, terms }: Undoing): Promise<void> {
  const { rowCount } = await ctx.target.query(
    `select 1 from ${stage} s join ${terms.table} as t on ${terms.sameKey} where not ${places('t')} limit 1`,
  );
  if (rowCount === 0) return;
  throw new RowfleetError(
    'KEY_TAKEN',
    `another row of ${display(ctx.flow.target)} has the key that the plan yields for it`,
  );
}

/** Puts what is staged into the place of what stands. What has the same key is updated, so that rows may refer to it. */
async function replace(undoing: Undoing): Promise<void> {
  const { ctx, terms, key } = undoing;
  const { flow, target } = ctx;
  const gone = key.length === 0 ? '' : `where not exists (select from ${stage} s where ${terms.sameKey})`;
  if (key.length > 0) await refuseOthers(undoing);
  const { rowCount } = await target.query(
    `insert into ${vanished} select p.relation, p.place from ${standing} p
       join ${terms.table} as t on t.tableoid = p.relation and t.ctid = p.place ${gone}`,
  );
  if (key.length > 0) {
    const { delete: deleted } = await applyDifference(ctx, terms, rowCount ?? 0);
    return proveApplied(ctx, terms, (rowCount ?? 0) - deleted);
  }
  await refuseSpread(target, flow.target, ctx.down, vanished);
  await target.query(
    `delete from ${terms.table} as t using ${vanished} v where t.tableoid = v.relation and t.ctid = v.place`,
  );
  await target.query(
    `insert into ${qualified(flow.target)} (${names(flow)}) overriding system value select ${names(flow)} from ${stage}`,
  );
}

/** Reasons to leave a row as it is, rather than that something went wrong. */
const reasons = new Set(['KEY_TAKEN', 'RELOAD_SPREADS']);

const isReason = (error: unknown): boolean =>
  error instanceof RowfleetError ? reasons.has(error.code) : classify(error, 'target') === 'row';

/** Replaces, or changes nothing: returns the reason. */
async function tryReplace(undoing: Undoing): Promise<Error | undefined> {
  const outcome = await underSavepoint(undoing.ctx.target, isReason, () => replace(undoing));
  return outcome.kind === 'done' ? undefined : (outcome.error as Error);
}

/** Takes what was edited out, since the row as the plan yields it is refused. */
async function remove(
  undoing: Undoing,
  refusal: Refusal,
  found: There | null,
  trace: string | null = null,
): Promise<TakenBack> {
  await undoing.ctx.target.query(`truncate ${stage}`);
  const error = await tryReplace(undoing);
  if (error === undefined) return { kind: 'refused', refusal, trace, found };
  const also = safeMessage(error);
  return {
    kind: 'kept',
    why: also === refusal.message ? also : `${refusal.message}; and as edited it stays: ${also}`,
  };
}

async function undo(undoing: Undoing, row: SentRow): Promise<TakenBack> {
  const { ctx } = undoing;
  const { flow, source } = ctx;
  const found = await findRow(source, flow, row);
  if (found.kind === 'lost') return remove(undoing, found.refusal, null);
  let tally: RelayTally = { rowsOut: 0, rowsIn: 0, bytes: 0 };
  if (found.kind === 'there') {
    const outcome = await tryLoadRange({ ...undoing.input, flow, into: stageTable }, found.range);
    if (outcome.kind === 'refused') return remove(undoing, refusalOf(outcome), found, traceOf(outcome.error));
    tally = outcome;
  }
  const error = await tryReplace(undoing);
  if (error === undefined) {
    const how = found.kind === 'gone' ? found.how : 'loaded as the plan yields it';
    return { ...tally, kind: 'loaded', how: `the edit was taken back: ${how}` };
  }
  if (error instanceof RowfleetError || found.kind === 'gone')
    return { kind: 'kept', why: safeMessage(error) };
  return remove(undoing, refusalOf({ kind: 'refused', side: 'target', error }), found);
}

/**
 * Puts a row as the plan yields it by now into the place of what a person made of it. What is refused so goes back into
 * quarantine; where others refer to what was edited, it stays. The transactions of both sessions are the caller's.
 */
export async function takeBack(input: CopyBatchInput, flow: ResolvedFlow, row: SentRow): Promise<TakenBack> {
  const { plan, claim, target } = input;
  input.signal.throwIfAborted();
  const objects = await readObjects(target, claim.runId);
  const down = objects.filter(({ state }) => state !== 'back').map(({ captured }) => captured);
  const known = plan.targets.find((each) => display(each) === display(flow.target))?.key ?? [];
  const key = known.every((name) => flow.columns.some((column) => column.name === name)) ? known : [];
  const ctx: DeriveContext = { ...input, flow, rowsBefore: 0, down };
  const undoing = { input, ctx, key, terms: termsOf(plan, flow, key) };
  await findStanding(undoing, row);
  const result = await undo(undoing, row);
  await target.query(
    `drop table ${qualified(written)}; drop table ${stage}; drop table ${standing}; drop table ${vanished}`,
  );
  return result;
}
