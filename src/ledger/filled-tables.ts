import { display } from '../pg/quote.ts';
import type { ResolvedTarget } from '../plan/resolved-plan.ts';
import { ledgerExists, type Queryable } from './ledger.ts';
import { unfinishedStates } from './runs.ts';

/** An unfinished migration that fills a table. */
export interface FillingRun {
  id: string;
  name: string;
  /** The table's key, as it was before the run; empty for none. */
  key: string[];
  /** Columns of unique keys that the run has taken down. */
  uniqueKeys: string[][];
}

/** A column as the server writes it in an index. An expression becomes the name of no column. */
const columnOf = (written: string): string =>
  written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written;

/** Unique keys over whole tables that runs have taken down, by run and table. */
async function readKeysDown(on: Queryable, runIds: string[]): Promise<Map<string, string[][]>> {
  const { rows } = await on.query(
    `select run_id::text || ' ' || relation as place, captured -> 'uniqueKey' -> 'expressions' as expressions
       from rowfleet.object where run_id = any($1) and state = 'down' and captured ? 'uniqueKey'
        and captured -> 'uniqueKey' -> 'predicate' is null order by id`,
    [runIds],
  );
  const down = new Map<string, string[][]>();
  for (const { place, expressions } of rows as { place: string; expressions: string[] }[])
    down.set(place, [...(down.get(place) ?? []), expressions.map(columnOf)]);
  return down;
}

/** The tables that unfinished migrations fill, by display name; none where there is no ledger. */
export async function readFilledTables(on: Queryable): Promise<Map<string, FillingRun>> {
  if (!(await ledgerExists(on))) return new Map();
  const { rows } = await on.query(
    `select id::text, name, plan -> 'targets' as targets from rowfleet.run where kind = 'migrate' and state = any($1) order by id desc`,
    [unfinishedStates],
  );
  const down = await readKeysDown(
    on,
    rows.map(({ id }) => id),
  );
  return new Map(
    rows.flatMap(({ id, name, targets }) =>
      (targets as ResolvedTarget[]).map((target): [string, FillingRun] => {
        const table = display(target);
        return [table, { id, name, key: target.key, uniqueKeys: down.get(`${id} ${table}`) ?? [] }];
      }),
    ),
  );
}
