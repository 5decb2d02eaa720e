import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Every place where a crash test kills a process, in an order in which a run can come by. */
export const barrierNames = [
  'prepare.take-down', // scheduler: an object is captured, and still up
  'copy.snapshot', // scheduler: the source's snapshot is open, and not recorded
  'copy.cut', // scheduler: batches are cut, uncommitted
  'task.claimed', // loader, validator: the attempt is committed, its work not begun
  'copy.extract', // loader: the fence is passed, no row is read
  'copy.load', // loader: rows pass
  'copy.record', // loader: all rows are in, uncommitted and unrecorded
  'copy.commit', // loader: rows and record stand in one open transaction
  'task.done', // loader, validator: committed, and the queue has not heard of it
  'copy.quarantine', // loader: rows are about to be set aside
  'index.build', // loader: a build begins
  'index.commit', // loader: built and recorded, uncommitted
  'check.compare', // validator: a check begins
  'check.record', // validator: a check is made, and not recorded
  'constrain.build',
  'constrain.commit',
  'finish.build',
  'finish.commit',
] as const;

export type BarrierName = (typeof barrierNames)[number];

const directory = process.env.ROWFLEET_BARRIERS;

/**
 * A named place where a crash test can stop this process. Does nothing unless ROWFLEET_BARRIERS names a
 * folder that holds a file `<name>.hold`: then `<name>.reached.<pid>` is written, and the process waits
 * here until the hold is removed.
 */
export async function barrier(name: BarrierName): Promise<void> {
  if (directory === undefined || !existsSync(join(directory, `${name}.hold`))) return;
  writeFileSync(join(directory, `${name}.reached.${process.pid}`), '');
  while (existsSync(join(directory, `${name}.hold`))) await sleep(20);
}
