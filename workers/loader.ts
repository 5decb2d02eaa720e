import type { Worker } from 'bullmq';
import { buildJob } from '../jobs/build.ts';
import { copyJob } from '../jobs/copy.ts';
import { barrier } from '../src/barrier.ts';
import { bringBack } from '../src/constraints/apply.ts';
import { buildProblem } from '../src/constraints/build-problem.ts';
import { fusionProblem } from '../src/constraints/fusion-problem.ts';
import type { CapturedObject } from '../src/constraints/types.ts';
import { copyBatch } from '../src/copy/copy-batch.ts';
import { mendRows } from '../src/copy/mend/mend-rows.ts';
import { RowfleetError } from '../src/errors.ts';
import { candidateTables } from '../src/ledger/candidates.ts';
import { finishTask } from '../src/ledger/fence.ts';
import { insertFindings } from '../src/ledger/findings.ts';
import { readObject, setObjectState } from '../src/ledger/objects.ts';
import { setWorkerSlots } from '../src/ledger/workers.ts';
import { display } from '../src/pg/quote.ts';
import { bound, type Session, withSession } from '../src/pg/session.ts';
import { inTransaction } from '../src/pg/transaction.ts';
import type { ResolvedPlan } from '../src/plan/resolved-plan.ts';
import { isCutByKey, rangeColumnOf } from '../src/plan/statements/select.ts';
import type { Work } from './attempt.ts';
import { join, type Member, type MemberOptions, slotRangeOf } from './member.ts';
import { serve, serveUntil } from './serve.ts';
import { Slots } from './slots.ts';

async function copyWork(member: Member, work: Work): Promise<void> {
  const { claim, run, session, onBytes } = work;
  const timeoutMs = run.plan.settings.batchTimeoutMs;
  const timeout = new AbortController();
  const flow = run.plan.flows.find(({ name }) => name === claim.flow);
  const isWhole = flow !== undefined && isCutByKey(flow) && rangeColumnOf(flow) === undefined;
  // What cannot be halved is one transaction, however long that takes.
  const timer =
    isWhole || 'scope' in (claim.spec as object)
      ? undefined
      : setTimeout(() => {
          const reason = `took longer than timeout_per_batch (${timeoutMs / 1000} s)`;
          timeout.abort(
            new RowfleetError('BATCH_TIMEOUT', reason, {
              hint: `raise migration.timeout_per_batch, or lower batch_size${flow?.transform ? '; or what a call of its transform waits for does not come: give that a timeout of its own' : ''}`,
            }),
          );
        }, timeoutMs);
  const signal = AbortSignal.any([work.signal, timeout.signal]);
  try {
    const tally = await run.withSource(signal, (source) => {
      const { plan, transforms } = run;
      const input = { plan, transforms, claim, target: session, source, seal: member.seal, signal, onBytes };
      return claim.taskKind === 'mend' ? mendRows(input) : copyBatch(input);
    });
    member.metrics.rows.inc(Math.max(0, tally.rowsIn));
    member.metrics.bytes.inc(tally.bytes);
  } finally {
    clearTimeout(timer);
  }
}

/** What keeps an object from coming back, where rows do. */
function problemOf(
  session: Session,
  plan: ResolvedPlan,
  runId: string,
  object: CapturedObject,
  error: unknown,
) {
  const table = candidateTables(runId, plan).find(
    ({ relation }) => display(relation) === display(object.relation),
  );
  return object.kind === 'fusion' && table !== undefined
    ? fusionProblem(session, plan, table, error)
    : buildProblem(session, object, error);
}

async function buildWork(member: Member, work: Work): Promise<void> {
  const { claim, run, session, signal, onWait } = work;
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const object = await readObject(session, (claim.spec as { object: string }).object);
  if (object === undefined)
    throw new RowfleetError('OBJECT_UNKNOWN', `the ledger holds no object for task ${claim.taskId}`);
  if (object.state === 'back') return finishTask(session, claim, { seconds: 0 });
  await barrier(`${object.phase}.build`);
  try {
    await bringBack(session, object.captured, {
      ...{ signal, onWait },
      within: async (tx) => {
        await setObjectState(tx, object.id, 'back');
        await finishTask(tx, claim, { seconds: seconds() });
        await barrier(`${object.phase}.commit`);
      },
    });
  } catch (error) {
    if (signal.aborted) throw error;
    // The rows do not allow it: that is a finding, and the run goes on to verify.
    await withSession(member.ledger.pool, (other) =>
      bound(other, signal, async () => {
        const finding = await problemOf(other, run.plan, claim.runId, object.captured, error);
        if (finding === undefined) throw error;
        await inTransaction(other, 'read committed', async () => {
          await insertFindings(other, claim.runId, claim.taskId, [finding]);
          await finishTask(other, claim, { seconds: seconds(), evidence: { findings: 1 } });
        });
      }),
    );
  }
}

/** A loader: copies batches and builds what comes back, as many of each as the servers can take, until `signal`. */
export async function runLoader(options: MemberOptions): Promise<void> {
  const member = await join('loader', options);
  const workers: Worker[] = [];
  const slots = new Slots(member, slotRangeOf(options.concurrency), (concurrency, reason) => {
    member.log.info({ slots: concurrency, before: member.concurrency, reason }, 'slots changed');
    member.concurrency = concurrency;
    for (const worker of workers) worker.concurrency = concurrency;
    member.plans.limitSources(concurrency);
    // If it gets lost, the scheduler cuts a few batches too many or too few until the next change.
    setWorkerSlots(member.control, member.id, concurrency).catch(() => {});
  });
  const copyInSlot = (work: Work) => {
    const onBytes = (bytes: number) => {
      work.onBytes(bytes);
      slots.moved(bytes);
    };
    return copyWork(member, { ...work, onBytes });
  };
  await serveUntil(member, options.signal, (leaving) => {
    workers.push(
      serve(member, copyJob, leaving, copyInSlot, slots),
      serve(member, buildJob, leaving, (work) => buildWork(member, work), slots),
    );
    slots.watch(options.signal);
    return workers;
  });
}
