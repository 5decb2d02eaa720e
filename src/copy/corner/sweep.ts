import { refusalMessage } from '../../pg/errors.ts';
import { classify } from '../../pg/failure-class.ts';
import { display, literal, qualified } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import { underSavepoint } from '../../pg/transaction.ts';
import type { Leaf, ResolvedFlow } from '../../plan/resolved-plan.ts';
import { batchSelect, isCutByKey, rowRange, type TidRange } from '../../plan/statements/select.ts';
import { tryRelay } from '../../wire/relay.ts';
import { underBothSavepoints } from '../both-savepoints.ts';
import type { CornerContext, CorneredUnit } from './context.ts';
import { halve } from './halve.ts';
import { refusalOf, stageOf } from './refusal.ts';
import { ruleChecks, type SetCheck } from './rule-checks.ts';
import { readTargetRules, type TargetRules } from './target-rules.ts';

const stage = 'pg_temp.rowfleet_stage';

/** Runs SQL of the sweep under a savepoint: what it cannot tell is left to halving. */
async function attempt<T>(target: Session, fn: () => Promise<T>, otherwise: T): Promise<T> {
  const cannotTell = (error: unknown) => ['row', 'give up'].includes(classify(error, 'target'));
  const outcome = await underSavepoint(target, cannotTell, fn);
  return outcome.kind === 'done' ? outcome.value : otherwise;
}

/**
 * Puts the rows of the ranges on the stage as text, each with the ctid of its driving row. Rows that the source itself
 * refuses are cut out of them and returned.
 */
async function fillStage(ctx: CornerContext, ranges: TidRange[]): Promise<CorneredUnit[]> {
  const { flow, source, target, signal, onBytes } = ctx;
  const columns = ['tid', ...flow.columns.map((_, i) => `c${i + 1}`)].map(
    (name) => `${name} pg_catalog.text`,
  );
  await target.query(`create temp table rowfleet_stage (${columns.join(', ')}) on commit drop`);
  const refused: CorneredUnit[] = [];
  const open = [...ranges];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const select = batchSelect(flow, next, [`${flow.alias}.ctid`]);
    const outcome = await underBothSavepoints(source, target, () =>
      tryRelay(
        { session: source, statement: `copy (${select}) to stdout (format text)` },
        { session: target, statement: `copy ${stage} from stdin (format text)` },
        { signal, onBytes },
      ),
    );
    if (outcome.kind === 'copied') continue;
    const cut = await halve(source, next);
    if (cut.kind === 'halves') open.push(...cut.halves);
    else refused.push({ at: cut.tid, range: rowRange(next.leaf, cut.tid), refusal: refusalOf(outcome) });
  }
  await target.query(`analyze ${stage}`);
  return refused;
}

/** Types with what they are declared with, domains' constraints among it: read as COPY would read them. */
function typeChecks({ columns, readsInputErrors }: TargetRules): SetCheck[] {
  return columns.map(({ name, type }, i) => {
    const code = readsInputErrors
      ? `(select sql_error_code from pg_catalog.pg_input_error_info(s.c${i + 1}, ${literal(type)}))`
      : `pg_temp.rowfleet_reads_${i + 1}(s.c${i + 1})`;
    return {
      sql: `select tid, code from (select s.tid, ${code} as code from ${stage} s where s.c${i + 1} is not null) r where code is not null`,
      refusal: { column: name },
    };
  });
}

/** Before version 16 only an exception tells that a value is not of a type. */
async function createReaders(target: Session, { columns, readsInputErrors }: TargetRules): Promise<void> {
  if (readsInputErrors) return;
  for (const [i, { type }] of columns.entries()) {
    await target.query(
      `create function pg_temp.rowfleet_reads_${i + 1}(given pg_catalog.text) returns pg_catalog.text language plpgsql as
       ${literal(`declare taken ${type}; begin taken := given; return null; exception when others then return sqlstate; end`)}`,
    );
  }
}

/** Takes what a check finds off the stage, so that a row is refused once, by the first. */
async function take(ctx: CornerContext, leaf: Leaf, { sql, refusal }: SetCheck): Promise<CorneredUnit[]> {
  const found = await attempt(
    ctx.target,
    async () =>
      (
        await ctx.target.query<{ tid: string; code?: string; behind?: string | null }>(
          `with found as (${sql}), gone as (delete from ${stage} where tid in (select tid from found))
           select distinct on (tid) * from found order by tid`,
        )
      ).rows,
    [],
  );
  return found.map(({ tid, code = refusal.code!, behind }) => {
    const places = [
      `table ${display(ctx.flow.target)}`,
      ...(refusal.column === undefined ? [] : [`column ${refusal.column}`]),
      ...(refusal.constraint === undefined ? [] : [`constraint ${refusal.constraint}`]),
    ];
    const message = refusalMessage(code, places);
    const row = {
      ...{ at: tid, range: rowRange(leaf, tid) },
      refusal: { ...refusal, stage: stageOf(code), side: 'target' as const, code, message },
    };
    return behind ? { ...row, behind } : row;
  });
}

/** Whether a sweep can tell a flow's refused rows: what it stages is what the target takes, and of one table. */
export const isSweepable = ({ columns, ...flow }: ResolvedFlow): boolean =>
  [flow.readWith, flow.idMap, flow.fusion, flow.transform].every((each) => each === undefined) &&
  !isCutByKey(flow) &&
  columns.every(({ lookup }) => lookup === undefined);

/**
 * Finds refused rows of the ranges by a few statements over all of them: expressions, types, NOT NULL, CHECK and unique keys. It may
 * miss what is refused otherwise, by a trigger say, and names no row that would be taken but those that stand behind one
 * that may be refused by that.
 */
export async function sweep(ctx: CornerContext, ranges: TidRange[]): Promise<CorneredUnit[]> {
  const { flow, target } = ctx;
  return attempt(target, async () => {
    const rules = await readTargetRules(target, flow);
    const found = await fillStage(ctx, ranges);
    await createReaders(target, rules);
    for (const check of [...typeChecks(rules), ...ruleChecks(rules, stage, qualified(flow.target))]) {
      ctx.signal.throwIfAborted();
      found.push(...(await take(ctx, ranges[0]!.leaf, check)));
    }
    await target.query(`drop table ${stage}`);
    return found;
  }, []);
}
