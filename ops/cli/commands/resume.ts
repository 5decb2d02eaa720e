import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { liftPause, resumeFlow } from '../../../src/control/pause.ts';
import { resumeRun } from '../../../src/control/resume.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Run } from '../../../src/ledger/runs.ts';
import { readPresentWorkers } from '../../../src/progress/fleet.ts';
import { readProgress } from '../../../src/progress/snapshot.ts';
import {
  type RunOptions,
  type RunSite,
  requireFleetEnvironment,
  withChosenRun,
  withTargetOption,
} from '../chosen-run.ts';
import { emit, perform, say, withCommonOptions } from '../command.ts';
import { followRun } from '../execute.ts';
import { type ExitCode, exitCode } from '../exit-code.ts';
import { remarkOnPlan } from '../plan-remark.ts';
import { withBell } from '../queue.ts';
import { printable } from '../render/text.ts';
import { actor, runIdOf } from '../target.ts';

interface ResumeOptions extends RunOptions {
  attach?: boolean;
  flow?: string;
}

/** Seconds within which a process that lives is seen: it says so every second. */
const presentSeconds = 3;

/** Lets one flow go on; a run that has stopped or ended needs `resume` for itself. */
async function resumeOneFlow(
  ledger: Ledger,
  site: RunSite,
  run: Run,
  flow: string,
  options: ResumeOptions,
): Promise<ExitCode> {
  const changed = await withBell(ledger, async (bell) => {
    const what = await resumeFlow(ledger, run, { flow, actor: actor() });
    await bell.ring(run.id);
    return what;
  });
  if (options.json === true) {
    emit('resumed', { run: run.id, flow, changed: changed !== null });
    return exitCode.verified;
  }
  say(`run ${run.id}: ${printable(changed ?? `flow ${flow} is neither paused nor cancelled`)}`);
  if (run.state !== 'running') say(`  rowfleet resume${site.option} ${run.id}   goes on with the run`);
  return exitCode.verified;
}

/** Whether a run that was paused goes on with the fleet that is there, so that nothing more is to be done. */
async function wentOn(ledger: Ledger, run: Run, options: ResumeOptions): Promise<boolean> {
  if (run.state !== 'running') return false;
  const lifted = await liftPause(ledger, run, actor());
  if (!lifted) return false;
  const { workers } = await readProgress(ledger, run.id);
  if (!workers.some(({ kind }) => kind === 'scheduler')) return false;
  await withBell(ledger, (bell) => bell.ring(run.id));
  if (options.json === true) emit('resumed', { run: run.id, flow: null, lifted: true });
  else say(`run ${run.id} goes on`);
  return true;
}

/** Whether a run that is running has its fleet: a second one would only be in its way. */
async function hasFleet(ledger: Ledger, run: Run): Promise<boolean> {
  const hasScheduler = async () =>
    (await readPresentWorkers(ledger, presentSeconds)).some(({ kind }) => kind === 'scheduler');
  if (run.state !== 'running' || !(await hasScheduler())) return false;
  // One that was killed a moment ago was seen too; who lives is seen again.
  await sleep(presentSeconds * 1000);
  return hasScheduler();
}

async function resume(ledger: Ledger, site: RunSite, run: Run, given: ResumeOptions): Promise<ExitCode> {
  if (given.flow !== undefined) return resumeOneFlow(ledger, site, run, given.flow, given);
  if (await wentOn(ledger, run, given)) return exitCode.verified;
  const watches = given.attach !== true && (await hasFleet(ledger, run));
  const options = watches ? { ...given, attach: true } : given;
  if (watches && options.json !== true)
    say(`run ${run.id} is running already, with a fleet of its own: watching it (Ctrl-C leaves it alone)`);
  if (options.attach !== true) await requireFleetEnvironment(site, run);
  await remarkOnPlan(site.file, run, options);
  await withBell(ledger, async (bell) => {
    await resumeRun(ledger, run, actor());
    await bell.ring(run.id);
  });
  return followRun(ledger, site, run.id, { ...options, loaders: run.plan.settings.parallelWorkers });
}

/** `rowfleet resume`: goes on with an unfinished run of a plan, from any host. */
export function addResume(program: Command): void {
  const command = program
    .command('resume')
    .summary('go on with an unfinished or paused run')
    .description(
      'Goes on with the unfinished run of a plan where it stands, from any host: batches that were copied stay copied. ' +
        'Works with the plan as the run recorded it. Exit codes as for migrate. A run that is only paused goes on with the ' +
        'fleet that it has; the command ends with 0 then. One that is running with a fleet already is only watched.',
    )
    .argument('[run]', 'id of the run; the unfinished one by default');
  withTargetOption(command)
    .option('--attach', 'only resume the run, and watch a fleet that is there')
    .option(
      '--flow <name>',
      'let only this flow go on: lift its pause, or take it up again after it was cancelled',
    )
    .addHelpText('after', '\nExample:\n  rowfleet resume -c plan.yaml');
  withCommonOptions(command).action(
    perform(async (options: ResumeOptions, run?: string) => {
      const runId = run === undefined ? undefined : runIdOf(run);
      return withChosenRun(options, runId, (ledger, run, site) => resume(ledger, site, run, options));
    }),
  );
}
