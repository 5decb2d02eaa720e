import { rmSync } from 'node:fs';
import { stopRun } from '../../src/control/stop.ts';
import { RowfleetError } from '../../src/errors.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { RunState } from '../../src/ledger/runs.ts';
import { readRunFindings } from '../../src/progress/runs.ts';
import type { ProgressSnapshot } from '../../src/progress/types.ts';
import { type CommonOptions, emit, say } from './command.ts';
import { type ExitCode, exitCode, exitCodeOf } from './exit-code.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { onInterruption } from './interruption.ts';
import { nextSteps } from './next-steps.ts';
import type { PlanFile } from './plan-file.ts';
import { wantsColor } from './render/color.ts';
import { writeWrapped } from './render/columns.ts';
import { renderSummary } from './render/summary.ts';
import { actor } from './target.ts';
import { watchRun } from './watch.ts';

/** How a command follows the run that it started. */
export interface FollowOptions extends CommonOptions {
  /** False: whoever started the command says what can be done next. */
  next?: boolean;
  /** Watch a fleet that is there instead of bringing one. */
  attach?: boolean;
  /** The state that counts as success, where that is not `verified`. */
  until?: RunState;
}

/** What suggested commands say of the plan, and what a fleet needs. */
type Site = Pick<PlanFile, 'option' | 'fleetEnv'>;

interface Followed {
  snapshot: ProgressSnapshot;
  interrupted: boolean;
  /** Why the own fleet could not go on. */
  broken?: string;
}

/** Watches the run until it ends, the user interrupts, or the own fleet can work no more. */
async function watchWithFleet(
  ledger: Ledger,
  runId: string,
  fleet: Fleet | undefined,
  options: FollowOptions,
): Promise<Followed> {
  const interruption = onInterruption(() => {
    fleet?.kill();
    process.exit(exitCode.interrupted);
  });
  const stop = new AbortController();
  const signal = AbortSignal.any([interruption.signal, stop.signal]);
  let broken: string | undefined;
  void fleet?.broken.then((reason) => {
    broken = reason;
    stop.abort();
  });
  try {
    const snapshot = await watchRun(ledger, runId, { ...options, starts: fleet?.kinds ?? 0 }, signal);
    const goesOn = exitCodeOf(snapshot.run.state) === undefined;
    const interrupted = interruption.signal.aborted && goesOn;
    if (interrupted && fleet !== undefined && options.json !== true) {
      say('', 'stopping: batches under way are rolled back (Ctrl-C again ends at once)');
    }
    // Stopped in the ledger first: loaders that others started for this run leave it too.
    if (fleet !== undefined && goesOn) await stopRun(ledger, runId, actor());
    await fleet?.stop();
    return { snapshot, interrupted, ...(broken !== undefined && goesOn ? { broken } : {}) };
  } finally {
    fleet?.kill();
    interruption.release();
  }
}

function interruptedLines(runId: string, { option }: Site, attached: boolean): string[] {
  if (attached) {
    return [
      `no longer watching: run ${runId} goes on`,
      `  rowfleet status ${runId}${option}   shows how far it is`,
      `  rowfleet cancel${option} ${runId}   stops it`,
    ];
  }
  return [
    `interrupted: run ${runId} can be resumed, nothing that was copied is lost`,
    `  rowfleet resume${option} ${runId}   goes on with it`,
    `  rowfleet cancel${option} ${runId}   undoes it`,
  ];
}

/** Prints how the run ended and tells the exit code. */
async function conclude(
  ledger: Ledger,
  site: Site,
  followed: Followed,
  options: FollowOptions,
): Promise<ExitCode> {
  const { snapshot, interrupted } = followed;
  const { id, state } = snapshot.run;
  const reached = state === options.until ? exitCode.verified : exitCodeOf(state);
  const code = interrupted ? exitCode.interrupted : (reached ?? exitCode.failed);
  const findings = await readRunFindings(ledger, id);
  if (options.json === true) {
    emit('result', { exitCode: code, interrupted, run: snapshot.run, overall: snapshot.overall, findings });
    return code;
  }
  if (interrupted) {
    say('', ...interruptedLines(id, site, options.attach === true));
    return code;
  }
  writeWrapped(process.stdout, [
    '',
    ...renderSummary(snapshot, findings, wantsColor(process.stdout, options.color)),
  ]);
  const next = options.next === false ? [] : nextSteps(snapshot.run, site.option);
  if (next.length > 0) say('', ...next);
  return code;
}

/** The logs of a run that came to its end well are of no use any more; those of others are named once more. */
function endLogs({ logs }: Fleet, { snapshot }: Followed, options: FollowOptions): void {
  const { state } = snapshot.run;
  if (state === 'verified' || state === options.until) rmSync(logs, { recursive: true, force: true });
  else if (options.json !== true) say('', `logs of its fleet: ${logs}`);
}

/**
 * Follows a run to its end with a fleet of its own, or with `attach` one that is there: shows the progress, prints the
 * summary, and returns the exit code. Ctrl-C ends an own fleet in good order and leaves the run resumable.
 */
export async function followRun(
  ledger: Ledger,
  site: Site,
  runId: string,
  options: FollowOptions & { loaders: number },
): Promise<ExitCode> {
  const fleet =
    options.attach === true ? undefined : startFleet({ loaders: options.loaders, env: site.fleetEnv });
  if (options.json === true)
    emit('started', { run: runId, ...(fleet === undefined ? {} : { logs: fleet.logs }) });
  else if (fleet !== undefined) say(`run ${runId}; logs of its fleet: ${fleet.logs}`);
  const followed = await watchWithFleet(ledger, runId, fleet, options);
  if (followed.broken !== undefined) {
    throw new RowfleetError('FLEET_BROKEN', `run ${runId} cannot go on: ${followed.broken}`, {
      hint: `mend the cause, then: rowfleet resume${site.option} ${runId}`,
    });
  }
  const code = await conclude(ledger, site, followed, options);
  if (fleet !== undefined) endLogs(fleet, followed, options);
  return code;
}
