import type { DigestMethod } from '../plan/resolved-plan.ts';

/** A target column as both sides of a digest hash it. */
export interface HashedColumn {
  name: string;
  /** `format_type` of the target column. */
  targetType: string;
  method: DigestMethod;
}

/** SQL of what is hashed, from SQL of the value. */
type Form = (value: string) => string;

const call =
  (fn: string): Form =>
  (value) =>
    `pg_catalog.${fn}(${value})`;

// The server's own float hash takes -0 for 0, so the wire form is hashed; but NaN has many wire forms.
const float =
  (type: string): Form =>
  (value) =>
    `case when ${value} = 'NaN'::pg_catalog.${type} then ''::pg_catalog.bytea else pg_catalog.${type}send(${value}) end`;

const asIs: Form = (value) => value;
const asText: Form = (value) => `${value}::pg_catalog.text`;
// Blanks at the end of a bpchar without length count, and only its output function shows them. Those of char(n) are
// padding that a source value of another length does not have; the cast to text strips them.
const unstripped: Form = (value) => `pg_catalog.textin(pg_catalog.bpcharout(${value}))`;

/**
 * Built-in types whose bytes tell all. 8-byte integers and times go through their wire form because the server
 * folds them to 32 bits before it hashes: bigint -1 and 4294967295 have the same hash.
 */
const exact = new Map<string, Form>([
  ...['smallint', 'integer', 'oid', 'boolean', 'date', 'uuid', 'bytea'].map((t): [string, Form] => [t, asIs]),
  ['bigint', call('int8send')],
  ['numeric', call('numeric_send')],
  ['real', float('float4')],
  ['double precision', float('float8')],
  ['money', call('cash_send')], // Its text depends on each server's lc_monetary.
  ['time without time zone', call('time_send')],
  ['time with time zone', call('timetz_send')],
  ['timestamp without time zone', call('timestamp_send')],
  ['timestamp with time zone', call('timestamptz_send')],
]);

/** The resolver has these hashed as text because their native hash is blind, which their wire form is not. */
const betterThanText = new Set(['real', 'double precision', 'money']);

/** How one column is hashed; `text` is hashed as bytes of one encoding, without the column's collation. */
function representation(column: HashedColumn): { form: Form; text: boolean; ownType: boolean } {
  const type = column.targetType.replace(/\([\d,-]+\)/, '');
  if (type === 'bpchar') return { form: unstripped, text: true, ownType: true };
  const form = column.method === 'text' && !betterThanText.has(type) ? undefined : exact.get(type);
  return form === undefined
    ? { form: asText, text: true, ownType: false }
    : { form, text: false, ownType: true };
}

/** Whether a value is hashed as one of the column's own (built-in) type, rather than as any value's text. */
export const hashedAsOwnType = (column: HashedColumn): boolean => representation(column).ownType;

/**
 * SQL of one field of a row hash: it differs wherever the column's value does, in anything. `transcode` is for
 * databases of different encodings: text is then hashed as its UTF-8 bytes.
 */
export function hashField(column: HashedColumn, value: string, transcode: boolean): string {
  const { form, text } = representation(column);
  if (!text) return form(value);
  return transcode
    ? `pg_catalog.convert_to(${form(value)}, 'UTF8')`
    : `${form(value)} collate pg_catalog."C"`;
}

/** SQL of what people see of a column; of a bytea the start, since the text of a whole one may exceed what a text holds. */
export function textField(column: HashedColumn, value: string): string {
  if (column.targetType === 'bytea') return asText(`pg_catalog.substring(${value}, 1, 5000)`);
  const { form, text } = representation(column);
  return text ? form(value) : asText(value);
}

/**
 * SQL of a 64-bit hash over fields, with a nonzero seed: at 0 some types hash a value to 0, which is what NULL hashes
 * to. Not fit to be summed: it is linear in its fields, so two rows that swap a value keep their sum.
 */
export function hashOf(fields: string[]): string {
  if (fields.length === 0) return '0::pg_catalog.int8';
  return `pg_catalog.hash_record_extended(row(${fields.join(', ')}), 1)`;
}

/** SQL that makes a hash fit to be summed. The server's integer hash folds to 32 bits; the xor keeps all 64. */
export const mixed = (hash: string): string => `(${hash} # pg_catalog.hashint8extended(${hash}, 7))`;
