import { migrateLedger, withTarget } from '../../src/control/open.ts';
import { refuseSecondRun, startRun } from '../../src/control/start.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { RunKind } from '../../src/ledger/runs.ts';
import type { CommonOptions } from './command.ts';
import type { ExitCode } from './exit-code.ts';
import type { PlanFile } from './plan-file.ts';
import { withBell } from './queue.ts';
import { withResolvedPlan } from './resolve-file.ts';
import { actor } from './target.ts';

/**
 * Starts a run of a plan and hands its id to `follow`: resolves the plan against both databases, applies its schema
 * files (`migrate` only), and rings the scheduler. A queue that does not answer leaves no run behind.
 */
export async function launch(
  file: PlanFile,
  kind: RunKind,
  options: CommonOptions,
  follow: (ledger: Ledger, runId: string) => Promise<ExitCode>,
): Promise<ExitCode> {
  return withTarget(file.target, async (ledger) => {
    if (kind === 'migrate') await refuseSecondRun(ledger, file.plan.name, file.given);
    // A validation is about the rows that are there.
    const checked = kind === 'migrate' ? file : { ...file, plan: { ...file.plan, allowNonEmpty: true } };
    const schema = kind === 'migrate' ? 'keep' : 'skip';
    const resolved = await withResolvedPlan(checked, options, schema, async (plan) => plan);
    await migrateLedger(ledger);
    const runId = await withBell(ledger, async (bell) => {
      const id = await startRun(ledger, { resolved, file: file.given, kind, actor: actor() });
      await bell.ring(id);
      return id;
    });
    return follow(ledger, runId);
  });
}
