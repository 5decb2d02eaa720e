import { usageError } from '../errors.ts';
import { type Ledger, ledgerExists, migrateLedger, openLedger } from '../ledger/ledger.ts';
import { beforeAnything } from '../pg/connection-error.ts';
import type { Endpoint } from '../pg/endpoint.ts';

/** Hands `use` the way to a target's ledger, which need not be there yet, and closes it afterwards. */
export async function withTarget<T>(endpoint: Endpoint, use: (ledger: Ledger) => Promise<T>): Promise<T> {
  const ledger = openLedger(endpoint, { max: 3, applicationName: 'rowfleet control' });
  try {
    await ledger.pool.query('select').catch((error) => {
      throw beforeAnything(error);
    });
    return await use(ledger);
  } finally {
    await ledger.close();
  }
}

/** The same for a target that must have a ledger, which an older rowfleet may have made. Throws LEDGER_MISSING, LEDGER_NEWER. */
export async function withLedger<T>(endpoint: Endpoint, use: (ledger: Ledger) => Promise<T>): Promise<T> {
  return withTarget(endpoint, async (ledger) => {
    if (await ledgerExists(ledger.pool)) {
      await migrateLedger(ledger);
      return use(ledger);
    }
    throw usageError(
      'LEDGER_MISSING',
      `${endpoint.label} holds no runs of rowfleet`,
      'rowfleet migrate -c plan.yaml starts the first one; is this the right target?',
    );
  });
}

/** Opens a target's ledger for a process that stays, creating it or bringing it up to date. The caller closes it. */
export async function openTarget(endpoint: Endpoint, applicationName: string): Promise<Ledger> {
  const ledger = openLedger(endpoint, { max: 3, applicationName });
  try {
    await migrateLedger(ledger);
    return ledger;
  } catch (error) {
    await ledger.close();
    throw error;
  }
}

export { migrateLedger };
