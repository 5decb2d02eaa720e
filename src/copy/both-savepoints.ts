import { classify } from '../pg/failure-class.ts';
import type { Session } from '../pg/session.ts';

type Outcome = { kind: 'copied' } | { kind: 'refused'; side: 'source' | 'target'; error: Error };

/** Rows on their way whose refusal undoes no more than themselves, on either side. Throws what is no row's fault. */
export async function underBothSavepoints<T extends Outcome>(
  source: Session,
  target: Session,
  move: () => Promise<T>,
): Promise<T> {
  const both = (sql: string) => Promise.all([source.query(sql), target.query(sql)]);
  await both('savepoint rowfleet_relay');
  const outcome = await move();
  if (outcome.kind === 'refused') {
    if (classify(outcome.error, outcome.side) !== 'row') throw outcome.error;
    await both('rollback to savepoint rowfleet_relay');
  }
  await both('release savepoint rowfleet_relay');
  return outcome;
}
