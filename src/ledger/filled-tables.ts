import { display, type RelationName } from '../pg/quote.ts';
import { ledgerExists, type Queryable } from './ledger.ts';
import { unfinishedStates } from './runs.ts';

/** An unfinished migration that fills a table. */
export interface FillingRun {
  id: string;
  name: string;
}

/** The tables that unfinished migrations fill, by display name; none where there is no ledger. */
export async function readFilledTables(on: Queryable): Promise<Map<string, FillingRun>> {
  if (!(await ledgerExists(on))) return new Map();
  const { rows } = await on.query(
    `select id::text, name, plan -> 'targets' as targets from rowfleet.run where kind = 'migrate' and state = any($1) order by id desc`,
    [unfinishedStates],
  );
  return new Map(
    rows.flatMap(({ id, name, targets }) =>
      (targets as RelationName[]).map((target): [string, FillingRun] => [display(target), { id, name }]),
    ),
  );
}
