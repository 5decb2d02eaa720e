import { landingIn } from '../../ledger/candidates.ts';
import type { ClaimedTask } from '../../ledger/claim.ts';
import { TaskLocked } from '../../ledger/fence.ts';
import { readObjects } from '../../ledger/objects.ts';
import { sqlState } from '../../pg/errors.ts';
import { display, ident, qualified } from '../../pg/quote.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import type { ResolvedFlow } from '../../plan/resolved-plan.ts';
import { planQuery } from '../../plan/sql/query.ts';
import { flowsInto, fusedSelect } from '../../plan/statements/fuse.ts';
import { readTogether } from '../../plan/statements/select.ts';
import type { CopyBatchInput } from '../batch-input.ts';
import { applyDifference, proveApplied } from '../derive/difference.ts';
import { type DeriveContext, names, stage, termsOf } from '../derive/terms.ts';

/** A target table whose candidates have become rows, so that what comes late has to be fused by itself. */
interface Fused {
  flow: ResolvedFlow;
  candidates: string;
  /** SQL of whether a candidate, under an alias, has not been fused yet. */
  isNew: (alias: string) => string;
}

type State = 'to come' | 'done';

async function stateOf({ claim, target }: CopyBatchInput, flow: ResolvedFlow): Promise<State> {
  const parts = (await readObjects(target, claim.runId)).filter(
    ({ captured, phase, relation }) =>
      captured.kind === 'fusion' && phase === 'index' && relation === display(flow.target),
  );
  const back = parts.filter(({ state }) => state === 'back').length;
  if (back > 0 && back < parts.length) throw isFusing(claim, flow);
  return back > 0 ? 'done' : 'to come';
}

const isFusing = ({ taskId }: ClaimedTask, { target }: ResolvedFlow) =>
  new TaskLocked(taskId, `rows of ${display(target)} are just being fused`);

/** Keeps others from the candidates, from here on to the end of the transaction. Throws TaskLocked. */
async function lockCandidates({ claim, plan, target }: CopyBatchInput, flow: ResolvedFlow): Promise<Fused> {
  const candidates = qualified(landingIn(claim.runId, plan, flow.target));
  await target.query(`lock table ${candidates} in share row exclusive mode nowait`).catch((error) => {
    throw sqlState(error) === sqlStates.lockNotAvailable ? isFusing(claim, flow) : error;
  });
  const { rows } = await target.query<{ since: string }>(
    'select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.xid::text as since',
  );
  const isNew = (alias: string) => `${ageOf(`${alias}.xmin`)} <= ${ageOf(`'${rows[0]!.since}'`)}`;
  return { flow, candidates, isNew };
}

const ageOf = (xid: string): string => `pg_catalog.age(${xid}::pg_catalog.xid)`;

/** What comes behind the candidates that have just been fused: each is written under a savepoint, and has a higher xmin. */
async function passOver({ target }: CopyBatchInput, fused: Fused): Promise<void> {
  const { candidates, isNew } = fused;
  const { rows } = await target.query<{ newest: string }>(
    `select xmin::text as newest from ${candidates} as c where ${isNew('c')} order by ${ageOf('xmin')} limit 1`,
  );
  const newest = rows[0]?.newest;
  if (newest !== undefined) fused.isNew = (alias) => `${ageOf(`${alias}.xmin`)} < ${ageOf(`'${newest}'`)}`;
}

/** Fuses the keys that new candidates have once more. NULL in a key meets nothing: such a row is one by itself. */
async function fuseKeys(input: CopyBatchInput, { flow, candidates, isNew }: Fused): Promise<void> {
  const { plan, target } = input;
  const flows = flowsInto(plan, flow.target);
  const columns = [...new Map(flows.flatMap((each) => each.columns.map((c) => [c.name, c]))).values()];
  const ctx: DeriveContext = { ...input, flow: { ...flow, columns }, rowsBefore: 0, down: [] };
  const { key } = flow.fusion!;
  const lacks = (alias: string) => key.map((name) => `${alias}.${ident(name)} is null`).join(' or ');
  const same = key.map((name) => `n.${ident(name)} = c.${ident(name)}`).join(' and ');
  const list = names(ctx.flow);
  await target.query(
    `create temporary table rowfleet_stage on commit drop as select ${list} from ${qualified(flow.target)} with no data`,
  );
  const among = `where exists (select from ${candidates} as n where ${isNew('n')} and ${same})`;
  await planQuery(target, `insert into ${stage} (${list}) ${fusedSelect(flows, candidates, among)}`);
  const terms = termsOf(plan, ctx.flow, key);
  await applyDifference(ctx, terms, 0);
  await proveApplied(ctx, terms, 0);
  await planQuery(
    target,
    `insert into ${qualified(flow.target)} (${list}) overriding system value
       select ${names(ctx.flow, 'c')} from ${candidates} as c where ${isNew('c')} and (${lacks('c')})`,
  );
  await target.query(`drop table ${stage}`);
}

/**
 * Runs `send`, which puts rows among the candidates of tables that a flow fills. Where these had been fused already, `send` is given
 * what fuses new ones: to be called behind them, under the savepoint that they were written under. It throws what the target says of the
 * result. Throws TaskLocked while candidates are being fused.
 */
export async function amongCandidates<T>(
  input: CopyBatchInput,
  flow: ResolvedFlow,
  send: (fuse: (() => Promise<void>) | undefined) => Promise<T>,
): Promise<T> {
  const flows = readTogether(input.plan, flow).filter(({ fusion }) => fusion !== undefined);
  const tables = [...new Map(flows.map((each) => [display(each.target), each])).values()];
  const before = new Map<ResolvedFlow, State>();
  const fused: Fused[] = [];
  for (const each of tables) {
    before.set(each, await stateOf(input, each));
    if (before.get(each) === 'done') fused.push(await lockCandidates(input, each));
  }
  const fuse = async () => {
    for (const each of fused) {
      await fuseKeys(input, each);
      await passOver(input, each);
    }
  };
  const sent = await send(fused.length === 0 ? undefined : fuse);
  for (const [each, state] of before)
    if ((await stateOf(input, each)) !== state) throw isFusing(input.claim, each);
  return sent;
}
