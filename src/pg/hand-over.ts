import { literal } from './quote.ts';
import type { Session } from './session.ts';

/** One record: the values of its fields, as text. */
export type HandedRecord = (string | null)[];

/**
 * Hands values of rows over to the open transaction, so that its statements use them without spelling them: statements show in
 * `pg_stat_activity` and in server logs, and COPY binds nothing. Returns a FROM item; `handed(i)` is the field `i` of
 * its records. Another call with the same `purpose` and `name` takes the place of the first.
 */
export async function handOver(
  session: Session,
  purpose: 'excluded' | 'edited' | 'kept' | 'sampled',
  name: string,
  records: HandedRecord[],
): Promise<string> {
  const json = await setJson(session, `${purpose}_${Buffer.from(name).toString('hex')}`, records);
  return `pg_catalog.json_array_elements(${json}) as handed (record)`;
}

/**
 * Hands single values over in the same way: returns SQL of the value `i`, as text. What an earlier call gave the same `name` is
 * to be among the values where statements go on using it.
 */
export async function handOverValues(
  session: Session,
  name: string,
  values: HandedRecord,
): Promise<(i: number) => string> {
  const json = await setJson(session, `values_${Buffer.from(name).toString('hex')}`, values);
  return (i) => `(${json} operator(pg_catalog.->>) ${i})`;
}

/** Sets it for the transaction; returns it as SQL. */
async function setJson(session: Session, name: string, value: unknown): Promise<string> {
  // A setting's name takes letters and digits only, and stays with the session; its value goes with the transaction.
  const setting = `rowfleet.${name}`;
  await session.query('select pg_catalog.set_config($1, $2, true) is null', [setting, JSON.stringify(value)]);
  return `pg_catalog.current_setting(${literal(setting)})::pg_catalog.json`;
}

/** SQL: a field of a record that was handed over, as text. */
export const handed = (field: number): string => `(handed.record operator(pg_catalog.->>) ${field})`;
