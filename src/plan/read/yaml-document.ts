import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Scalar,
} from 'yaml';
import { formatPath, type PathSegment } from '../path.ts';
import type { PlanProblem } from '../problems.ts';

/** A YAML file read: its value, and the line of every path in it. */
export interface YamlDocument {
  value: unknown;
  lines: Record<string, number>;
  problems: PlanProblem[];
}

// What people write without quotes although it is text: the source's spelling counts, 007 stays 007.
const textKeys = new Set(['name', 'host', 'user', 'password', 'database', 'ssl_mode']);

const keepSpelling = (key: unknown, value: unknown): void => {
  if (!textKeys.has(String(key)) || !isScalar(value)) return;
  const scalar = value as Scalar;
  if (scalar.value !== null && typeof scalar.value !== 'string')
    scalar.value = scalar.source ?? String(scalar.value);
};

/** Notes the line of each path; an alias counts where it is used, what is behind it where it is written. */
function walk(
  node: unknown,
  path: PathSegment[],
  at: { lineOf: (node: Node) => number | undefined; resolve: (node: unknown) => unknown },
  lines: Record<string, number>,
): void {
  const resolved = at.resolve(node);
  if (path.length > 60) return;
  if (isMap(resolved)) {
    for (const { key, value } of resolved.items) {
      const name = isScalar(key) ? key.value : key;
      keepSpelling(name, value);
      const below = [...path, String(name)];
      lines[formatPath(below)] = at.lineOf(key as Node) ?? lines[formatPath(path)] ?? 1;
      walk(value, below, at, lines);
    }
  } else if (isSeq(resolved)) {
    for (const [i, item] of resolved.items.entries()) {
      const below = [...path, i];
      lines[formatPath(below)] = at.lineOf(item as Node) ?? lines[formatPath(path)] ?? 1;
      walk(item, below, at, lines);
    }
  }
}

/** For SQL that YAML takes apart. */
export const quoteIt =
  'Quote the whole expression where it has commas, quotes or brackets: {total: "coalesce(a, b)"}.';

/** Reads one YAML document; every problem has its line. Anchors and merge keys work; several documents do not. */
export function readYaml(text: string, file: string): YamlDocument {
  const counter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: counter, merge: true, prettyErrors: false });
  const problem = (line: number, message: string, hint?: string): PlanProblem => ({
    severity: 'error',
    at: { file, line: Math.max(1, line), path: '' },
    message,
    hint,
  });
  const document = 'length' in documents ? documents[0] : undefined;
  if (!document) {
    const hint = '`rowfleet generate-config` prints one to begin with.';
    return { value: undefined, lines: {}, problems: [problem(1, 'the plan is empty', hint)] };
  }
  const problems = documents.flatMap(({ errors, warnings }) =>
    [...errors, ...warnings].map((error) =>
      error.code === 'DUPLICATE_KEY'
        ? problem(
            counter.linePos(error.pos[0]).line,
            'a key stands here a second time',
            'Keep one of the two.',
          )
        : problem(
            counter.linePos(error.pos[0]).line,
            `not YAML: ${error.message.split('\n')[0]}`,
            /between flow|at node end/.test(error.message) ? quoteIt : undefined,
          ),
    ),
  );
  if (documents.length > 1) {
    const line = counter.linePos(documents[1]!.range[0]).line;
    problems.push(
      problem(line, 'the file holds more than one YAML document', 'Write each plan into a file of its own.'),
    );
  }
  const lines: Record<string, number> = {};
  const lineOf = (node: Node) => (node?.range ? counter.linePos(node.range[0]).line : undefined);
  const resolve = (node: unknown) => (isAlias(node) ? node.resolve(document) : node);
  walk(document.contents, [], { lineOf, resolve }, lines);
  for (const [path, line] of Object.entries(lines))
    if (/(^|\.)__proto__$/.test(path))
      problems.push(
        problem(
          line,
          'a key cannot be called __proto__: it would be lost on the way',
          'Rename the column, or copy its table under tables.',
        ),
      );
  try {
    return { value: document.toJS({ maxAliasCount: 1000 }), lines, problems };
  } catch (error) {
    // Circular or exploding aliases.
    problems.push(problem(1, `not a plan: ${(error as Error).message}`));
    return { value: undefined, lines, problems };
  }
}
