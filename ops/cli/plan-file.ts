import { delimiter, dirname } from 'node:path';
import { RowfleetError } from '../../src/errors.ts';
import type { Endpoint } from '../../src/pg/endpoint.ts';
import { type Environment, resolveEndpoint } from '../../src/plan/endpoints.ts';
import type { EndpointSpec, Plan } from '../../src/plan/plan.ts';
import { plansFolders, plansVariable } from '../../src/plan/plans-folders.ts';
import type { PlanProblem } from '../../src/plan/problems.ts';
import { loadPlan } from '../../src/plan/read/parse.ts';
import { shellWord } from '../../src/shell-word.ts';
import { plural } from '../units.ts';
import type { CommonOptions } from './command.ts';
import { printWarnings } from './failure.ts';

/** A plan file that was found to be in order, with the databases that it names. */
export interface PlanFile {
  plan: Plan;
  /** The file as it was given on the command line, as a word for a shell: for the commands that messages suggest. */
  given: string;
  /** ` -c plan.yaml`, for the same commands. */
  option: string;
  source: Endpoint;
  target: Endpoint;
  /** This process's environment and the plan's own passwords: what `${…}` in the plan is taken from. */
  env: Environment;
  /** What a fleet needs in its environment to reach the plan's databases and its code. Holds secrets. */
  fleetEnv: Record<string, string>;
}

/** An error that carries everything that is wrong with a plan. */
export class PlanError extends RowfleetError {
  readonly problems: PlanProblem[];

  constructor(problems: PlanProblem[]) {
    super('PLAN_INVALID', `the plan has ${plural(problems.length, 'problem')}`, { kind: 'usage' });
    this.problems = problems;
  }
}

/** Throws a PlanError if a problem is an error; prints warnings otherwise. */
export function judge(problems: PlanProblem[], options: CommonOptions): void {
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) throw new PlanError(errors);
  if (options.json !== true) printWarnings(problems, options.color);
}

/**
 * A libpq URL of a database with everything the plan says about it, for TARGET_DATABASE_URL of child processes.
 * Parameters behind the question mark override what stands before it.
 */
export function endpointUrl(spec: EndpointSpec, env: Environment): string {
  const expand = (text: string) =>
    text.replace(/\$\{([A-Za-z_]\w*)\}/g, (_, name: string) => env[name] ?? '');
  const parameters = Object.entries(spec.settings ?? {}).map(([name, value]) => [name, expand(value)]);
  if (spec.passwordVariable !== undefined) parameters.push(['password', env[spec.passwordVariable] ?? '']);
  const query = parameters.map(([name, value]) => `${name}=${encodeURIComponent(value!)}`).join('&');
  const url = expand(spec.url ?? 'postgres://');
  return query === '' ? url : `${url}${url.includes('?') ? '&' : '?'}${query}`;
}

/**
 * Reads a plan file for a command. Throws a PlanError with all problems, or a usage error for a variable that is
 * not set. Nothing is connected to.
 */
export function openPlanFile(file: string, options: CommonOptions): PlanFile {
  const { plan, problems, secrets } = loadPlan(file);
  judge(problems, options);
  if (plan === undefined) throw new PlanError(problems);
  const env = { ...process.env, ...secrets };
  return {
    plan,
    given: shellWord(file),
    option: ` -c ${shellWord(file)}`,
    source: resolveEndpoint(plan.source, env),
    target: resolveEndpoint(plan.target, env),
    env,
    fleetEnv: {
      ...secrets,
      TARGET_DATABASE_URL: endpointUrl(plan.target, env),
      [plansVariable]: [dirname(plan.file), ...plansFolders(env)].join(delimiter),
    },
  };
}
