import { describe, expect, test } from 'vitest';
import { RowfleetError } from '../../src/errors.ts';
import { connectionError } from '../../src/pg/connection-error.ts';
import { safeMessage } from '../../src/pg/errors.ts';
import { classify, failureCode } from '../../src/pg/failure-class.ts';
import { nextStep } from '../../workers/next-step.ts';

/** An error as pg hands on what the server said. */
const server = (code: string, more: object = {}) =>
  Object.assign(new Error(`secret ${code}`), { severity: 'ERROR', code, ...more });
const node = (code: string) => Object.assign(new Error(code), { code });

describe('the class of what a server says', () => {
  test.each([
    [
      'wait',
      '08000 08003 08006 08001 57P01 57P02 57P03 57P04 57P05 53300 53100 58030 40001 25006 25P03 55006',
    ],
    ['shrink', '57014 53000 53200 53400 55P03 40P01 25P04 XX000'],
    ['row', '22P02 22003 22001 23505 23514 23502 44000 P0001 P0004 21000 54000 38000 39004'],
    ['give up', '42P01 42501 42703 28P01 28000 3D000 3F000 0A000 58P01 XX001 54011 F0000'],
  ] as const)('%s', (expected, codes) => {
    for (const code of codes.split(' ')) expect([code, classify(server(code))]).toEqual([code, expected]);
  });

  test('an expression that writes is the plan’s own fault, a target that takes no writes is not', () => {
    expect(classify(server('25006'), 'source')).toBe('give up');
    expect(classify(server('25006'), 'target')).toBe('wait');
  });

  test('what a function raises is about its row, whatever code it chose', () => {
    const raised = server('57014', { where: 'PL/pgSQL function f() line 1 at RAISE' });
    expect(classify(raised)).toBe('row');
    expect(safeMessage(server('38000'))).toBe('error raised by a function (SQLSTATE 38000)');
  });
});

test.each<[string, unknown, string, string]>([
  ['nothing listens', connectionError(node('ECONNREFUSED'), 'h:1/d'), 'wait', 'ECONNREFUSED'],
  ['a socket that is not there', connectionError(node('ENOENT'), 'h:1/d'), 'wait', 'ENOENT'],
  ['a file that is not there', node('ENOENT'), 'give up', 'ENOENT'],
  ['a dead socket', node('ECONNRESET'), 'wait', 'ECONNRESET'],
  ['no answer', connectionError(new Error('timeout expired'), 'h:1/d'), 'wait', 'ETIMEDOUT'],
  ['a session that ended', new Error('Connection terminated unexpectedly'), 'wait', 'CONNECTION_TERMINATED'],
  ['a server that is full', connectionError(server('53300'), 'h:1/d'), 'wait', '53300'],
  ['a wrong password', connectionError(server('28P01'), 'h:1/d'), 'give up', '28P01'],
  ['a pooler', connectionError(server('08P01'), 'h:1/d'), 'give up', '08P01'],
  ['a certificate', connectionError(node('CERT_HAS_EXPIRED'), 'h:1/d'), 'give up', 'CERT_HAS_EXPIRED'],
  ['a batch’s clock', new RowfleetError('BATCH_TIMEOUT', 'slow'), 'shrink', 'BATCH_TIMEOUT'],
  ['another plan', new RowfleetError('PLAN_MOVED', 'moved'), 'give up', 'PLAN_MOVED'],
  [
    'DDL that met a lock',
    new RowfleetError('DDL_FAILED', 'x', { cause: server('55P03') }),
    'shrink',
    'DDL_FAILED',
  ],
  ['a fault of our own', new TypeError('x is undefined'), 'give up', 'INTERNAL'],
])('%s', (_, error, expected, code) => {
  expect([classify(error), failureCode(error)]).toEqual([expected, code]);
});

test('every class has a next step, with the server in it', () => {
  expect(nextStep({ class: 'give up', code: '42501', side: 'target' })).toBe(
    'grant the privilege that is missing on the target, then resume',
  );
  expect(nextStep({ class: 'wait', code: '57P01', side: 'source' })).toContain('the source accepts');
  expect(nextStep({ class: 'shrink', code: 'BATCH_TIMEOUT' })).toContain('migration.timeout_per_batch');
  expect(nextStep({ class: 'row', code: '57014' })).toContain('mend the row');
});
