import { usageError } from '../errors.ts';
import type { QuarantinedRow, TargetRow } from '../ledger/read-quarantine.ts';
import { nearest } from '../nearest.ts';
import { display } from '../pg/quote.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';

/** What tells a row from those that have its id in another ledger, or had it before: any JSON. */
export interface RowIdentity {
  run: unknown;
  flow: unknown;
  source_key: unknown;
  refused_at: unknown;
}

/** Whose row it is, as files name it. */
export const identityOf = ({ runId, flow, values, quarantinedAt }: QuarantinedRow) => ({
  ...{ run: runId, flow, source_key: values?.sourceKey ?? null, refused_at: quarantinedAt.toISOString() },
});

/** What a person made of one row in quarantine, as it was read from a file: any JSON. */
export interface RowEdit {
  id: string;
  /** Whose row it was when it was exported; undefined: the row that has the id now is meant, whichever that is. */
  of?: RowIdentity;
  /** JSON array of objects, target column → value; null or absent: as the plan yields it. */
  targetRows: unknown;
  /** Where it was read, for messages: `rows.ndjson:3`. */
  at: string;
}

function invalid({ at, id }: RowEdit, what: string, hint: string) {
  return usageError('EDIT_INVALID', `${at}: row ${id}: ${what}`, hint);
}

// Whoever writes the file anew may order a key's columns otherwise.
const canonical = (value: unknown): string =>
  typeof value === 'object' && value !== null
    ? JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : JSON.stringify(value ?? null);

/** Ids begin anew in every ledger: throws EDIT_INVALID where an edit was made of another row than the one that has its id. */
export function requireSameRow(edit: RowEdit, row: QuarantinedRow): void {
  if (edit.of === undefined) return;
  const here = identityOf(row);
  for (const name of ['run', 'flow', 'source_key', 'refused_at'] as const) {
    const given = edit.of[name];
    if (canonical(given) === canonical(here[name])) continue;
    throw invalid(
      edit,
      given === undefined
        ? `has no ${name}`
        : `its ${name} is not that of row ${row.id} here: another row was exported`,
      'export the rows again, and edit target_rows alone',
    );
  }
}

function textOf(edit: RowEdit, column: string, value: unknown): string | null {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'boolean' || Number.isSafeInteger(value)) return String(value);
  throw invalid(
    edit,
    `the value of ${column} is neither text nor null`,
    'write each value as the text that PostgreSQL reads: "1.50", "{a,b}", "2026-01-31"',
  );
}

function rowOf(flow: ResolvedFlow, edit: RowEdit, given: unknown): TargetRow {
  const names = flow.columns.map(({ name }) => name);
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw invalid(edit, 'target_rows holds what is no object', 'each row is an object: {"column": "value"}');
  const other = Object.keys(given).find((name) => !names.includes(name));
  if (other !== undefined) {
    const near = nearest(other, names);
    throw invalid(
      edit,
      `flow ${flow.name} fills no column ${other}`,
      near === undefined ? `it fills: ${names.join(', ')}` : `did you mean ${near}?`,
    );
  }
  const missing = names.find((name) => !(name in given));
  if (missing !== undefined)
    throw invalid(edit, `column ${missing} has no value`, 'give all columns of the flow; null for none');
  return Object.fromEntries(
    names.map((name) => [name, textOf(edit, name, (given as Record<string, unknown>)[name])]),
  );
}

const same = (a: TargetRow[], b: TargetRow[]): boolean =>
  a.length === b.length &&
  a.every((row, i) => Object.entries(row).every(([name, value]) => (b[i]![name] ?? null) === value));

const notByEdit =
  'mend the row in the source, or the plan, and send it again as the plan yields it: target_rows: null';

/**
 * Reads an edit of a row against its flow's columns; null where it is none, so that the row is to be loaded as the plan
 * yields it. Throws EDIT_INVALID.
 * @param before what the row would have been loaded as
 */
export function readEdit(flow: ResolvedFlow, edit: RowEdit, before: TargetRow[] | null): TargetRow[] | null {
  const { targetRows } = edit;
  if (targetRows === null || targetRows === undefined) return null;
  if (!Array.isArray(targetRows))
    throw invalid(edit, 'target_rows is no array', 'leave it as it was exported: [{"column": "value"}]');
  if (targetRows.length === 0)
    throw invalid(edit, 'target_rows is empty', 'to give the row up: rowfleet quarantine discard');
  if (flow.backfill !== undefined)
    throw invalid(
      edit,
      `flow ${flow.name} updates the rows of ${display(flow.target)} where they stand`,
      'update the row itself, then send it again as the plan yields it: target_rows: null',
    );
  if (flow.readWith !== undefined)
    throw invalid(edit, `it fills several tables, as flow ${flow.readWith.flow} says`, notByEdit);
  const made = targetRows.map((row) => rowOf(flow, edit, row));
  if (before !== null && same(made, before)) return null;
  if (flow.fusion !== undefined) throw invalid(edit, 'rows of its key become one, in an order', notByEdit);
  return made;
}
