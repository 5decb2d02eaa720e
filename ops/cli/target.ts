import { hostname, userInfo } from 'node:os';
import { usageError } from '../../src/errors.ts';
import { type Endpoint, endpointFromUrl } from '../../src/pg/endpoint.ts';
import type { CommonOptions } from './command.ts';
import { openPlanFile } from './plan-file.ts';
import { targetUrlFromEnvironment } from './target-url.ts';

/** The target of a command that only looks: from the plan where one is given, else from TARGET_DATABASE_URL. */
export function targetOf(options: CommonOptions & { config?: string }): Endpoint {
  if (options.config !== undefined) return openPlanFile(options.config, options).target;
  return endpointFromUrl(targetUrlFromEnvironment(), process.env, 'TARGET_DATABASE_URL');
}

/** A run id from the command line. Throws a usage error for anything but a positive whole number. */
export function runIdOf(text: string): string {
  if (/^[1-9]\d{0,17}$/.test(text)) return text;
  const hint = /\.ya?ml$/.test(text) ? `did you mean -c ${text}?` : 'rowfleet status lists the runs';
  throw usageError('RUN_ID_INVALID', `"${text}" is not the id of a run`, hint);
}

/** Who asks, for the run's events: `user@host`. */
export function actor(): string {
  let name = 'unknown';
  try {
    name = userInfo().username;
  } catch {
    // A container may run as a user id without a name.
  }
  return `${name}@${hostname()}`;
}
