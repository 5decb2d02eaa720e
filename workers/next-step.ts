import type { FailureClass } from '../src/pg/failure-class.ts';

/** What an attempt failed of. */
export interface Failure {
  class: FailureClass;
  code: string;
  side?: 'source' | 'target';
}

/** By SQLSTATE, or by its class; `{side}` is the server it came from. */
const steps: Readonly<Record<string, string>> = {
  '08': 'nothing to do here: it goes on when the {side} answers again',
  '25006': 'the {side} takes no writes: it was demoted, or its host closed it until its disk has space',
  '28': 'mend the login of the {side}: the role, its password or pg_hba.conf; then resume',
  '3D': 'the database of the {side} is gone: bring it back, then resume',
  '3F': 'a schema of the {side} is gone: bring it back, then resume',
  '40P01': 'an application locks the same rows in another order: it is tried again',
  '42': 'something that the plan uses is gone or was changed on the {side}: bring it back and resume, or cancel and start anew',
  '42501': 'grant the privilege that is missing on the {side}, then resume',
  '53100': 'free disk space on the {side}: the run goes on by itself',
  '53200': 'give the {side} more memory, or lower migration.batch_size',
  '53300':
    'run fewer loaders, end idle sessions of the {side}, or raise its connection limit: the run goes on by itself',
  '55P03':
    'an application holds a lock on the {side} for too long: end it, or let the run wait until it is over',
  '57': 'nothing to do here: it goes on when the {side} accepts connections again',
  LOCK_NOT_AVAILABLE: 'an application holds a lock for too long: end it, then resume',
  XX: 'look into the log of the {side}; once the cause is mended, resume',
};

const byClass: Readonly<Record<FailureClass, string>> = {
  wait: 'nothing to do here: it is tried again',
  shrink: 'raise migration.timeout_per_batch or lower migration.batch_size',
  row: 'mend the row, then resume; or mend the plan, then revise and resume',
  'give up': 'mend the cause, then resume',
};

/** What a person does next about a failure that does not say so itself. */
export function nextStep(failure: Failure): string {
  const { code } = failure;
  const isState = /^[0-9A-Z]{5}$/.test(code);
  const known = steps[code] ?? (isState ? steps[code.slice(0, 2)] : undefined);
  const step = failure.class === 'row' ? byClass.row : (known ?? byClass[failure.class]);
  return step.replaceAll('{side}', failure.side ?? 'server');
}
