import { type HandedRecord, handed, handOver } from '../../../pg/hand-over.ts';
import { literal } from '../../../pg/quote.ts';
import type { Session } from '../../../pg/session.ts';

/** A value that is not of its column's type. */
export interface Misfit {
  /** Of the row. */
  row: number;
  /** Of the column, among those that were given. */
  column: number;
  code: string;
  message: string;
}

const answer = 'rowfleet.misfits';

/** Reads one field as its type; only an exception tells on all versions what is wrong, domains' constraints among it. */
const readField = (type: string, i: number): string => `
  begin
    if given.c${i + 1} is not null then
      declare taken ${type} := given.c${i + 1}; begin end;
    end if;
  exception when others then
    misfits := misfits || pg_catalog.jsonb_build_object('row', given.n, 'column', ${i}, 'code', sqlstate, 'message', sqlerrm);
  end;`;

/**
 * Finds values that are not of their columns' types: too long, no label of the enum, refused by a domain. Values are handed over, not
 * spelled; nothing is made in the database.
 */
export async function findMisfits(target: Session, types: string[], rows: HandedRecord[]): Promise<Misfit[]> {
  if (types.length === 0 || rows.length === 0) return [];
  const records = rows.map((values, n): HandedRecord => [String(n), ...values]);
  const from = await handOver(target, 'sampled', 'types', records);
  const fields = types.map((_, i) => `${handed(i + 1)} as c${i + 1}`);
  const body = `declare
  given record;
  misfits pg_catalog.jsonb := '[]';
begin
  for given in select ${handed(0)}::pg_catalog.int4 as n, ${fields.join(', ')} from ${from} loop${types.map(readField).join('')}
  end loop;
  perform pg_catalog.set_config('${answer}', misfits::pg_catalog.text, true);
end`;
  await target.query(`do ${literal(body)}`);
  const { rows: found } = await target.query<{ misfits: Misfit[] }>(
    `select pg_catalog.current_setting('${answer}')::pg_catalog.json as misfits`,
  );
  return found[0]!.misfits;
}
