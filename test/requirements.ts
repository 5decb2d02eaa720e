import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { canMount } from './tmpfs.ts';

/** The program that Redis suites run; REDIS_SERVER names another one than that on the PATH. */
export const redisServer = process.env.REDIS_SERVER ?? 'redis-server';

/** The browser that page suites run, headless; CHROMIUM names another one than those on the PATH. */
export const chromium =
  process.env.CHROMIUM ??
  ['chromium', 'chromium-browser', 'google-chrome'].find(
    (name) => spawnSync(name, ['--version']).status === 0,
  );

/** Where the sample databases are; ROWFLEET_SAMPLES names another folder than the one beside the checkout. */
export const samplesFolder =
  process.env.ROWFLEET_SAMPLES ?? join(import.meta.dirname, '..', '..', 'shared', 'data');

/** What some suites need and a machine may not have. */
const requirements = {
  redis: {
    met: () => spawnSync(redisServer, ['--version']).status === 0,
    mark: '[needs redis-server]',
    next: 'Install Redis (apt-get install redis-server), or set REDIS_SERVER to the program.',
  },
  chromium: {
    met: () => chromium !== undefined,
    mark: '[needs chromium]',
    next: 'Install Chromium (apt-get install chromium), or set CHROMIUM to the program.',
  },
  openssl: {
    met: () => spawnSync('openssl', ['version']).status === 0,
    mark: '[needs openssl]',
    next: 'Install OpenSSL (apt-get install openssl): the tests make their certificates with it.',
  },
  mount: {
    met: canMount,
    mark: '[needs to mount a small disk]',
    next: 'Run the tests as root, on a Linux where root may mount a tmpfs (docker run --privileged): a disk that is full is a small one.',
  },
  samples: {
    met: () => existsSync(join(samplesFolder, 'pagila-schema.sql.gz')),
    mark: '[needs the sample databases]',
    next: 'Set ROWFLEET_SAMPLES to the folder of pagila-*.sql.gz and chinook-*.sql.gz.',
  },
};

export type Requirement = keyof typeof requirements;

const answers = new Map<Requirement, boolean>();

/** Whether this machine has it. */
export function available(requirement: Requirement): boolean {
  const known = answers.get(requirement) ?? requirements[requirement].met();
  answers.set(requirement, known);
  return known;
}

/** The name of a suite that is skipped for want of `requirement`. */
export const markMissing = (name: string, requirement: Requirement): string =>
  `${name} ${requirements[requirement].mark}`;

/** What to do so that the suite of this name is run; undefined when its name carries no mark. */
export function missingIn(suite: string): string | undefined {
  return Object.values(requirements).find(({ mark }) => suite.endsWith(mark))?.next;
}
