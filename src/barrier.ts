import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const directory = process.env.ROWFLEET_BARRIERS;

/**
 * A named place where a crash test can stop this process. Does nothing unless ROWFLEET_BARRIERS names a
 * folder that holds a file `<name>.hold`: then `<name>.reached.<pid>` is written, and the process waits
 * here until the hold is removed.
 */
export async function barrier(name: string): Promise<void> {
  if (directory === undefined || !existsSync(join(directory, `${name}.hold`))) return;
  writeFileSync(join(directory, `${name}.reached.${process.pid}`), '');
  while (existsSync(join(directory, `${name}.hold`))) await sleep(20);
}
