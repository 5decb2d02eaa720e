import { RowfleetError } from '../../src/errors.ts';
import { safeMessage } from '../../src/pg/errors.ts';
import type { PlanProblem } from '../../src/plan/problems.ts';
import { plural } from '../units.ts';
import { type ExitCode, exitCode } from './exit-code.ts';
import { palette, wantsColor } from './render/color.ts';
import { writeWrapped } from './render/columns.ts';
import { printable } from './render/text.ts';

/** An error as people and scripts get it. */
export interface Failure {
  code: string;
  message: string;
  hint?: string;
  /** All that is wrong with a plan, in one answer. */
  problems?: PlanProblem[];
}

/** The problems that an error about a plan carries; empty for any other error. */
function problemsOf(error: unknown): PlanProblem[] {
  const problems = (error as { problems?: unknown } | null)?.problems;
  return Array.isArray(problems) ? (problems as PlanProblem[]) : [];
}

/** What to say about anything that was thrown. What is not a RowfleetError is a fault nobody foresaw. */
export function failureOf(error: unknown): Failure {
  const problems = problemsOf(error);
  if (error instanceof RowfleetError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(problems.length === 0 ? {} : { problems }),
    };
  }
  // A server's own message can quote a row.
  return {
    code: 'UNEXPECTED',
    message: safeMessage(error),
    hint: 'LOG_LEVEL=debug shows where this happened',
  };
}

/** The exit code that goes with an error. */
export function exitCodeOfError(error: unknown): ExitCode {
  return error instanceof RowfleetError && error.kind === 'usage' ? exitCode.usage : exitCode.failed;
}

function problemLines(problem: PlanProblem): string[] {
  const { file, line, path } = problem.at;
  const lines = [`  ${file}:${line} ${path === '' ? '' : `${path}: `}${printable(problem.message)}`];
  if (problem.hint !== undefined) lines.push(`      → ${printable(problem.hint)}`);
  return lines;
}

/** An error as lines for people: what, why, all problems of a plan with their places, and the next step. */
export function renderFailure(failure: Failure, color: boolean): string[] {
  const paint = palette(color);
  const [first, ...more] = failure.message.split('\n');
  const lines = [`${paint.bad('error:')} ${printable(first ?? '')} ${paint.dim(`[${failure.code}]`)}`];
  lines.push(...more.map((line) => `  ${printable(line)}`));
  lines.push(...(failure.problems ?? []).flatMap(problemLines));
  lines.push(
    ...(failure.hint ?? '')
      .split('\n')
      .filter(Boolean)
      .map((line) => `  → ${printable(line)}`),
  );
  return lines;
}

/** Prints an error: as one JSON line on stdout with `json`, else for people on stderr. */
export function printFailure(error: unknown, options: { json: boolean; color: boolean }): void {
  const failure = failureOf(error);
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ type: 'error', error: failure })}\n`);
    return;
  }
  const lines = renderFailure(failure, wantsColor(process.stderr, options.color));
  writeWrapped(process.stderr, lines);
  if (process.env.LOG_LEVEL === 'debug' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
}

/** Prints what is worth knowing about a plan without stopping it, on stderr. */
export function printWarnings(problems: PlanProblem[], color: boolean): void {
  if (problems.length === 0) return;
  const paint = palette(wantsColor(process.stderr, color));
  const lines = [
    `${paint.warn('note:')} ${plural(problems.length, 'remark')} on the plan`,
    ...problems.flatMap(problemLines),
  ];
  writeWrapped(process.stderr, lines);
}
