import { LeadLost } from '../src/ledger/leader.ts';
import { readActiveRunIds } from '../src/ledger/runs.ts';
import { safeMessage } from '../src/pg/errors.ts';
import { type DriveSite, driveRun } from './drive-run.ts';

const lookEveryMs = 1_000;

/**
 * Drives all active runs, each in a loop of its own, so that none waits for what another waits for. Returns when the
 * lead is lost or the process leaves, after every loop has ended.
 */
export async function drive(site: Omit<DriveSite, 'signal'>, leaving: AbortSignal): Promise<void> {
  const { member, lead, wakeup } = site;
  const over = new AbortController();
  const signal = AbortSignal.any([leaving, lead.lost, over.signal]);
  const loops = new Map<string, Promise<void>>();

  const begin = (runId: string) => {
    const loop = driveRun({ ...site, signal }, runId)
      .catch((error) => {
        if (error instanceof LeadLost) over.abort(error);
        if (!signal.aborted) member.log.error({ run: runId, error: safeMessage(error) }, 'driving ended');
      })
      .finally(() => loops.delete(runId));
    loops.set(runId, loop);
  };

  while (!signal.aborted) {
    try {
      for (const id of await readActiveRunIds(member.control)) if (!loops.has(id)) begin(id);
    } catch (error) {
      member.log.error({ error: safeMessage(error) }, 'the ledger does not answer');
    }
    await wakeup.pause(lookEveryMs, signal);
  }
  await Promise.all(loops.values());
}
