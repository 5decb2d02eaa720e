import { classify } from '../pg/failure-class.ts';
import { type RelayOptions, type RelayOutcome, type RelaySide, tryRelay } from './relay.ts';

/** A relay whose refusal undoes no more than itself, on either side. Throws what is no row's fault. */
export async function relayUnderSavepoint(
  source: RelaySide,
  target: RelaySide,
  options: RelayOptions,
): Promise<RelayOutcome> {
  const both = (sql: string) => Promise.all([source.session.query(sql), target.session.query(sql)]);
  await both('savepoint rowfleet_relay');
  const outcome = await tryRelay(source, target, options);
  if (outcome.kind === 'refused') {
    if (classify(outcome.error, outcome.side) !== 'row') throw outcome.error;
    await both('rollback to savepoint rowfleet_relay');
  }
  await both('release savepoint rowfleet_relay');
  return outcome;
}
