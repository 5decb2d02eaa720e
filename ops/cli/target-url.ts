import { usageError } from '../../src/errors.ts';

/** The URL of the target for a process of the fleet. Throws a usage error when TARGET_DATABASE_URL is not set. */
export function targetUrlFromEnvironment(): string {
  const url = process.env.TARGET_DATABASE_URL;
  if (url !== undefined && url !== '') return url;
  throw usageError(
    'TARGET_UNKNOWN',
    'TARGET_DATABASE_URL is not set',
    'export TARGET_DATABASE_URL=postgres://user@host/database, the target of the runs to work on; a command that takes -c finds it in the plan',
  );
}
