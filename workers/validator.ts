import { validateJob } from '../jobs/validate.ts';
import { barrier } from '../src/barrier.ts';
import { finishTask, lockClaim } from '../src/ledger/fence.ts';
import { insertFindings } from '../src/ledger/findings.ts';
import { readCancelledFlows, readLoaded, readRowsBefore } from '../src/ledger/flows.ts';
import { readEditedRows } from '../src/ledger/mend.ts';
import { readExcludedRows } from '../src/ledger/quarantine.ts';
import { readRun } from '../src/ledger/runs.ts';
import { inTransaction } from '../src/pg/transaction.ts';
import { runCheck } from '../src/validate/run-check.ts';
import type { CheckSpec } from '../src/validate/types.ts';
import type { Work } from './attempt.ts';
import { join, type Member, type MemberOptions } from './member.ts';
import { serve, serveUntil } from './serve.ts';

async function checkWork({ seal }: Member, { claim, run, session, signal }: Work): Promise<void> {
  const started = performance.now();
  const { kind, mended } = await readRun(session, run.id);
  const counts = await readLoaded(session, run.id);
  const loaded = kind === 'migrate' && !mended ? counts : undefined;
  const flows = await readCancelledFlows(session, run.id);
  const cancelled = Object.fromEntries(
    flows.map((name) => [name, (counts[name]?.rowsIn ?? 0) + (counts[name]?.rowsMended ?? 0)]),
  );
  const before = await readRowsBefore(session, run.id);
  const excluded = await readExcludedRows(session, run.id, seal);
  const edited = await readEditedRows(session, run.id, seal);
  await barrier('check.compare');
  const outcome = await run.withSource(signal, (source) =>
    runCheck(
      {
        source,
        target: session,
        plan: run.plan,
        transforms: run.transforms,
        loaded,
        before,
        excluded,
        edited,
        cancelled,
        signal,
      },
      claim.spec as CheckSpec,
    ),
  );
  await barrier('check.record');
  await inTransaction(session, 'read committed', async () => {
    await lockClaim(session, claim);
    await insertFindings(session, claim.runId, claim.taskId, outcome.findings);
    await finishTask(session, claim, {
      rowsOut: outcome.rows,
      seconds: (performance.now() - started) / 1000,
      evidence: { ...outcome.evidence, findings: outcome.findings.length },
    });
  });
}

/** A validator: makes checks, as many at the same time as its concurrency says, until `signal`. */
export async function runValidator(options: MemberOptions): Promise<void> {
  const member = await join('validator', options);
  await serveUntil(member, options.signal, (leaving) => [
    serve(member, validateJob, leaving, (work) => checkWork(member, work)),
  ]);
}
