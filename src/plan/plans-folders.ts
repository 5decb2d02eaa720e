import { delimiter } from 'node:path';

/** The variable that says in which folders a process finds the code of plans, as PATH does. */
export const plansVariable = 'ROWFLEET_PLANS';

/** The folders that an environment names; none where it does not say. */
export const plansFolders = (env: Record<string, string | undefined>): string[] =>
  (env[plansVariable] ?? '').split(delimiter).filter((folder) => folder !== '');
