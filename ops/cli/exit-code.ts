import type { RunState } from '../../src/ledger/runs.ts';

/** How the command ends: what scripts and schedulers read. */
export const exitCode = {
  /** Done; for a run: verified. */
  verified: 0,
  /** The work was tried and failed, or the run was cancelled. */
  failed: 1,
  /** The command line, the plan or the environment must change first. */
  usage: 2,
  /** The run finished, and the validator found something, or rows are in quarantine. */
  findings: 3,
  /** Ctrl-C or SIGTERM; the run can be resumed. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** The exit code that a run's state stands for; undefined while the run goes on. */
export function exitCodeOf(state: RunState): ExitCode | undefined {
  if (state === 'verified') return exitCode.verified;
  if (state === 'findings' || state === 'quarantined') return exitCode.findings;
  if (state === 'failed' || state === 'cancelled') return exitCode.failed;
  return undefined;
}
