import { execFileSync } from 'node:child_process';
import { RowfleetError } from '../../src/errors.ts';

export function requirePsql(): void {
  try {
    execFileSync('psql', ['--version'], { stdio: 'ignore' });
  } catch {
    throw new RowfleetError('BENCH_PSQL', 'the comparison needs psql, which is not on the PATH', {
      kind: 'usage',
      hint: 'install postgresql-client',
    });
  }
}

/** Seconds that `psql … | psql …` takes, binary. `from` is a table or a query in parentheses, `to` a table. */
export function timePipe(sourceUrl: string, targetUrl: string, from: string, to: string): number {
  const started = performance.now();
  const script = 'set -o pipefail; psql "$FROM" -qc "$OUT" | psql "$TO" -qc "$INTO"';
  execFileSync('bash', ['-c', script], {
    env: {
      ...process.env,
      FROM: sourceUrl,
      TO: targetUrl,
      OUT: `copy ${from} to stdout (format binary)`,
      INTO: `copy ${to} from stdin (format binary)`,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return (performance.now() - started) / 1000;
}
