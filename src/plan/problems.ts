import type { PathSegment } from './path.ts';
import { formatPath } from './path.ts';

/** Where a thing stands in the plan file. `path` is the way in the document, e.g. `flows[0].columns.id`. */
export interface PlanLocation {
  file: string;
  line: number;
  path: string;
}

/** One thing wrong with a plan, or worth knowing about it. */
export interface PlanProblem {
  severity: 'error' | 'warning';
  at: PlanLocation;
  message: string;
  hint?: string;
}

/** A number as messages show it: `6,000`. */
export const amount = (count: number): string => count.toLocaleString('en');

/** Collects what is wrong with one plan, each thing with its place in the file. */
export class Problems {
  readonly all: PlanProblem[] = [];
  readonly #file: string;
  readonly #lines: Record<string, number>;

  constructor(plan: { file: string; lines: Record<string, number> }) {
    this.#file = plan.file;
    this.#lines = plan.lines;
  }

  error(path: readonly PathSegment[], message: string, hint?: string): void {
    this.#add('error', path, message, hint);
  }

  warning(path: readonly PathSegment[], message: string, hint?: string): void {
    this.#add('warning', path, message, hint);
  }

  get hasErrors(): boolean {
    return this.all.some(({ severity }) => severity === 'error');
  }

  /** Whether something is wrong at a place of the file, or below it. */
  hasErrorAt(path: readonly PathSegment[]): boolean {
    const place = formatPath(path);
    return this.all.some(
      ({ severity, at }) =>
        severity === 'error' && at.path.startsWith(place) && !/^[\w-]/.test(at.path.slice(place.length)),
    );
  }

  /** Everything, in the order of the file. */
  sorted(): PlanProblem[] {
    return this.all.toSorted((a, b) => a.at.line - b.at.line);
  }

  // A path that the file does not spell out (a default) stands where its nearest ancestor does.
  #lineOf(path: readonly PathSegment[]): number {
    for (let length = path.length; length > 0; length--) {
      const line = this.#lines[formatPath(path.slice(0, length))];
      if (line !== undefined) return line;
    }
    return 1;
  }

  #add(
    severity: PlanProblem['severity'],
    path: readonly PathSegment[],
    message: string,
    hint?: string,
  ): void {
    const at = { file: this.#file, line: this.#lineOf(path), path: formatPath(path) };
    this.all.push({ severity, at, message, ...(hint === undefined ? {} : { hint }) });
  }
}

/** One problem as a terminal shows it: `plan.yaml:12 flows[0].to: …`, and the hint on a line of its own. */
export function formatProblem({ severity, at, message, hint }: PlanProblem): string {
  const place = `${at.file}:${at.line}${at.path === '' ? '' : ` ${at.path}`}`;
  return `${place}: ${severity === 'warning' ? 'warning: ' : ''}${message}${hint === undefined ? '' : `\n    ${hint}`}`;
}
