import type { CapturedObject, RestorePhase } from '../constraints/types.ts';
import { display } from '../pg/quote.ts';
import type { Queryable } from './ledger.ts';

export type ObjectState = 'captured' | 'down' | 'back';

export interface ObjectRow {
  id: string;
  relation: string;
  phase: RestorePhase;
  ordinal: number;
  captured: CapturedObject;
  state: ObjectState;
}

/** Records what will be taken down, with what brings it back, before anything is touched. */
export async function insertObjects(on: Queryable, runId: string, objects: CapturedObject[]): Promise<void> {
  for (const object of objects) {
    await on.query(
      `insert into rowfleet.object (run_id, kind, relation, name, phase, ordinal, captured, state)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        runId,
        object.kind,
        display(object.relation),
        object.name,
        object.phase,
        object.order,
        JSON.stringify(object),
        object.takeDown.length === 0 ? 'down' : 'captured',
      ],
    );
  }
}

const columns = 'id, relation, phase, ordinal, captured, state';

/** The objects of a run, in the order they come back. */
export async function readObjects(on: Queryable, runId: string): Promise<ObjectRow[]> {
  const { rows } = await on.query(
    `select ${columns} from rowfleet.object where run_id = $1
      order by array_position(array['index', 'constrain', 'finish'], phase), ordinal, id`,
    [runId],
  );
  return rows;
}

/** What runs took down and did not bring back, with the run: how to bring it back is written nowhere else. */
export async function readDown(on: Queryable): Promise<(ObjectRow & { runId: string })[]> {
  const { rows } = await on.query(
    `select ${columns}, run_id as "runId" from rowfleet.object
      where state = 'down' and jsonb_array_length(captured -> 'takeDown') > 0 order by run_id, id`,
  );
  return rows;
}

/** Forgets the finishing steps of a run, which took nothing down: rows may come that they have not seen. */
export async function deleteFinishSteps(on: Queryable, runId: string): Promise<void> {
  await on.query(
    `with steps as (delete from rowfleet.object where run_id = $1 and phase = 'finish' returning id)
     delete from rowfleet.task where run_id = $1 and kind = 'build' and (spec ->> 'object')::bigint in (select id from steps)`,
    [runId],
  );
}

/** One object. */
export async function readObject(on: Queryable, id: string): Promise<ObjectRow | undefined> {
  const { rows } = await on.query(`select ${columns} from rowfleet.object where id = $1`, [id]);
  return rows[0];
}

/** Records that an object is down or back; belongs in the transaction that makes it so. */
export async function setObjectState(on: Queryable, id: string, state: ObjectState): Promise<void> {
  await on.query('update rowfleet.object set state = $2 where id = $1', [id, state]);
}

/** Lets what fuses the candidates of some target tables be done once more: they hold no rows now. */
export async function fuseAgain(on: Queryable, runId: string, targets: string[]): Promise<void> {
  await on.query(
    `with fused as (
       update rowfleet.object set state = 'down'
        where run_id = $1 and kind = 'fusion' and phase = 'index' and relation = any($2) returning id
     )
     delete from rowfleet.task
      where run_id = $1 and kind = 'build' and (spec ->> 'object')::bigint in (select id from fused)`,
    [runId, targets],
  );
}
