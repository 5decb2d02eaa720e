import type { Put } from './binary-values.ts';
import type { Room } from './room.ts';
import type { Encode } from './text-values.ts';

/** What a generated writer needs besides the values' own encoders. */
export interface WriterTools {
  /** Throws where a column needs a value. */
  requireOptional(column: number, value: null | undefined): void;
  /** Throws what was thrown for a column's value, as what it is of the row. */
  misfit(column: number, error: unknown): never;
  /** Throws where a row has other keys than it may. */
  checkKeys(row: object): void;
}

/** What a writer does: at the beginning, with a column's value, with none, and in the end. */
interface Steps {
  parameters: string;
  begin: string;
  value(i: number): string;
  absent(i: number): string;
  end: string;
}

/** A function that does these steps for the columns of a row, in this order. See `rowReader` on what is generated. */
function generate(names: string[], steps: Steps): string {
  const reads = names.map((name, i) => {
    const key = JSON.stringify(name);
    // What every object has is not meant.
    const value =
      name in Object.prototype ? `Object.hasOwn(row, ${key}) ? row[${key}] : undefined` : `row[${key}]`;
    return `const value${i} = ${value};`;
  });
  const writes = names.map(
    (_, i) => `
      column = ${i};
      if (value${i} !== undefined && value${i} !== null) ${steps.value(i)};
      else {
        requireOptional(${i}, value${i});
        ${steps.absent(i)};
      }`,
  );
  const given = names.map((_, i) => `(value${i} === undefined ? 0 : 1)`);
  return `
  const { requireOptional, misfit, checkKeys } = tools;
  const [${names.map((_, i) => `encoder${i}`).join(', ')}] = encoders;
  return (${steps.parameters}) => {
    ${reads.join('\n    ')}
    ${steps.begin};
    let column = 0;
    try {${writes.join('')}
    } catch (error) {
      misfit(column, error);
    }
    let keys = 0;
    for (const _ in row) keys++;
    if (keys === 0 || keys !== ${given.join(' + ') || '0'}) checkKeys(row);
    ${steps.end};
  };`;
}

/** Writes rows of these columns as lines of COPY in text format. */
export function lineWriter(names: string[], encoders: Encode[], tools: WriterTools): (row: object) => string {
  const before = (i: number) => (i > 0 ? "'\\t' + " : '');
  const body = generate(names, {
    parameters: 'row',
    begin: "let line = ''",
    value: (i) => `line += ${before(i)}encoder${i}(value${i})`,
    absent: (i) => `line += ${before(i)}'\\\\N'`,
    end: "return line + '\\n'",
  });
  return new Function('encoders', 'tools', body)(encoders, tools);
}

/** Adds rows of these columns to a room as rows of COPY in binary format; of one that throws a part may stand there. */
export function rowPutter(
  names: string[],
  encoders: Put[],
  tools: WriterTools,
): (row: object, room: Room) => void {
  const body = generate(names, {
    parameters: 'row, room',
    begin: `room.count(${names.length})`,
    value: (i) => `encoder${i}(value${i}, room)`,
    absent: () => 'room.none()',
    end: '',
  });
  return new Function('encoders', 'tools', body)(encoders, tools);
}
