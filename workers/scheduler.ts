import { setTimeout as sleep } from 'node:timers/promises';
import { controlJob } from '../jobs/control.ts';
import { openQueues } from '../jobs/queues.ts';
import { drive } from './drive.ts';
import { waitForLead } from './lead.ts';
import { join, type MemberOptions } from './member.ts';
import { Wakeup } from './wakeup.ts';

/** A scheduler: stands by until it leads, then drives every active run of the ledger, until `signal`. */
export async function runScheduler(options: MemberOptions): Promise<void> {
  const member = await join('scheduler', options);
  const queues = openQueues(member.backend);
  const wakeup = new Wakeup();
  const doorbell = member.backend.openWorker(controlJob.queue, async () => wakeup.ring(), { concurrency: 1 });
  const signal = AbortSignal.any([options.signal, member.broken.signal]);
  while (!signal.aborted) {
    const lead = await waitForLead(member, signal);
    if (lead === undefined) break;
    member.log.info({ epoch: lead.epoch }, 'leading');
    await drive({ member, queues, lead, wakeup }, signal);
    await lead.giveUp();
    if (!signal.aborted) member.log.warn({ epoch: lead.epoch }, 'lost the lead');
  }
  await Promise.all(
    [doorbell.close(), queues.close()].map((closing) => Promise.race([closing, sleep(3_000)])),
  );
  await member.close();
  member.broken.signal.throwIfAborted();
}
