import type { Command } from 'commander';
import { withLedger } from '../../src/control/open.ts';
import { chooseRun } from '../../src/control/resume.ts';
import { usageError } from '../../src/errors.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Run } from '../../src/ledger/runs.ts';
import type { Endpoint } from '../../src/pg/endpoint.ts';
import { resolveEndpoint } from '../../src/plan/endpoints.ts';
import { plansFolders } from '../../src/plan/plans-folders.ts';
import type { ResolvedFlow } from '../../src/plan/resolved-plan.ts';
import { compileTransform } from '../../src/transform/compile.ts';
import type { CommonOptions } from './command.ts';
import { openPlanFile, type PlanFile } from './plan-file.ts';
import { targetOf } from './target.ts';

export interface RunOptions extends CommonOptions {
  config?: string;
}

/** `-c`, for commands that act on a run: what they need of its plan the ledger has. */
export function withTargetOption(command: Command): Command {
  return command.option(
    '-c, --config <plan.yaml>',
    'the plan whose target to work on, else TARGET_DATABASE_URL',
  );
}

/** Where a command finds its run, with or without a plan file. */
export interface RunSite extends Pick<PlanFile, 'option' | 'fleetEnv'> {
  target: Endpoint;
  /** Undefined without a file: any plan's run is meant. */
  planName?: string;
  file?: PlanFile;
}

/** The plan that `-c` names, else TARGET_DATABASE_URL. Throws what reading the plan throws, and TARGET_UNKNOWN. */
export function openRunSite(options: RunOptions): RunSite {
  if (options.config === undefined) return { target: targetOf(options), option: '', fleetEnv: {} };
  const file = openPlanFile(options.config, options);
  const { target, plan, option, fleetEnv } = file;
  return { target, planName: plan.name, option, fleetEnv, file };
}

/** Whether a folder has the code of a transform that its plan was checked with. */
const hasCode = (folder: string, { file, hash }: NonNullable<ResolvedFlow['transform']>): Promise<boolean> =>
  compileTransform(folder, file).then(
    (compiled) => compiled.hash === hash,
    () => false,
  );

/**
 * Whether a fleet of this process could work on the run: it would wait for ever. Throws VARIABLE_MISSING where it could not tell the
 * run's databases without the plan file, TRANSFORM_DIFFERS where it has not the code of its transforms.
 */
export async function requireFleetEnvironment(site: RunSite, { id, revision, plan }: Run): Promise<void> {
  const env = { ...process.env, ...site.fleetEnv };
  for (const { endpoint } of [plan.source, plan.target]) resolveEndpoint(endpoint, env);
  for (const transform of plan.flows.flatMap((flow) => flow.transform ?? [])) {
    const found = await Promise.all(plansFolders(env).map((folder) => hasCode(folder, transform)));
    if (found.includes(true)) continue;
    throw usageError(
      'TRANSFORM_DIFFERS',
      `the transform ${transform.file} is not here as revision ${revision} of run ${id} was checked with it`,
      `rowfleet revise${site.option || ' -c plan.yaml'} ${id}   takes the code as it is now into the run\nor bring it back to what it was, packages too`,
    );
  }
}

/** Runs `fn` with the run that a command is about: the one named, else the unfinished one of the plan or of the target. */
export function withChosenRun<T>(
  options: RunOptions,
  runId: string | undefined,
  fn: (ledger: Ledger, run: Run, site: RunSite) => Promise<T>,
): Promise<T> {
  const site = openRunSite(options);
  return withLedger(site.target, async (ledger) =>
    fn(ledger, await chooseRun(ledger, site.planName, runId), site),
  );
}
