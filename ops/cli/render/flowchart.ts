import type { ExplainedFlow, ExplainedValue } from '../../../src/plan/explain.ts';
import { printable, shorten } from './text.ts';

/** A text as a Mermaid label that nothing in Markdown or Mermaid reads as more than text: all but plain characters by their number. */
const label = (text: string): string =>
  `"${printable(text).replace(/[^\p{L}\p{N} _.,:=+*/()-]/gu, (char) => `#${char.codePointAt(0)};`)}"`;

/** Tables with those of their columns that take part, numbered as they are first named. */
class Tables {
  readonly #prefix: string;
  readonly #columns = new Map<string, string[]>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The node of a column. */
  node(table: string, column: string): string {
    const columns = this.#columns.get(table) ?? [];
    this.#columns.set(table, columns);
    if (!columns.includes(column)) columns.push(column);
    return `${this.#prefix}${[...this.#columns.keys()].indexOf(table)}_${columns.indexOf(column)}`;
  }

  lines(): string[] {
    return [...this.#columns].flatMap(([table, columns], i) => [
      `  subgraph ${this.#prefix}${i}[${label(table)}]`,
      ...columns.map((column, n) => `    ${this.#prefix}${i}_${n}[${label(column)}]`),
      '  end',
    ]);
  }
}

/** What stands on the arrow: nothing where a column goes over as it is. */
function arrow(expression: string, bare: boolean): string {
  return bare ? '-->' : `-->|${label(shorten(expression, 40))}|`;
}

/** A Mermaid flowchart of all flows: source tables on the left, target tables on the right. */
export function flowchart(flows: ExplainedFlow[]): string[] {
  const [sources, targets] = [new Tables('s'), new Tables('t')];
  const arrows = new Set<string>();
  const functions: string[] = [];
  const draw = ({ expression, from }: ExplainedValue, into: string) => {
    const bare = from.length === 1 && /^[\w".]+$/.test(expression);
    for (const origin of from)
      arrows.add(`  ${sources.node(origin.table, origin.column)} ${arrow(expression, bare)} ${into}`);
    if (from.length === 0) arrows.add(`  ${sources.node('constants', expression)} --> ${into}`);
  };
  for (const { to, columns, transform } of flows) {
    const by = `f${functions.length}`;
    if (transform) functions.push(`  ${by}[${label(transform.by)}]`);
    for (const value of transform?.input ?? []) draw(value, by);
    for (const column of columns) {
      const into = targets.node(to, column.name);
      const values = column.way === 'expression' ? [column] : column.way === 'lookup' ? column.by : [];
      for (const value of values) draw(value, into);
      if (column.way === 'transform') arrows.add(`  ${by} --> ${into}`);
      if (column.way === 'lookup')
        arrows.add(`  ${targets.node(column.table, column.take)} -.->|${label('looked up')}| ${into}`);
    }
  }
  return ['flowchart LR', ...sources.lines(), ...functions, ...targets.lines(), ...arrows];
}
