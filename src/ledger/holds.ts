import type { Queryable } from './ledger.ts';

/** pause: people; throttle: the health of a server; breaker: failures. */
export type HoldKind = 'pause' | 'throttle' | 'breaker';

/** What holds a run, or one of its flows, back. */
export interface Hold {
  /** Null for the whole run. */
  flow: string | null;
  kind: HoldKind;
  /** pause: who asked; throttle: the measure; breaker: the server, or `failures`. */
  cause: string;
  /** In words, with the number behind it. */
  reason: string;
  since: Date;
}

/** Holds a run or one of its flows back: nothing of it is begun, what runs goes on to its end. One that is there keeps its `since`. */
export async function putHold(
  on: Queryable,
  hold: { runId: string; flow?: string; kind: HoldKind; cause: string; reason: string },
): Promise<void> {
  await on.query(
    `insert into rowfleet.hold as h (run_id, flow, kind, cause, reason) values ($1, $2, $3, $4, $5)
     on conflict (run_id, flow, kind, cause) do update set reason = excluded.reason where h.reason <> excluded.reason`,
    [hold.runId, hold.flow ?? '', hold.kind, hold.cause, hold.reason],
  );
}

/** Takes holds of a kind away, of every cause where none is named; tells how many there were. */
export async function liftHold(
  on: Queryable,
  runId: string,
  hold: { flow?: string; kind: HoldKind; cause?: string },
): Promise<number> {
  const { rowCount } = await on.query(
    `delete from rowfleet.hold
      where run_id = $1 and flow = $2 and kind = $3 and ($4::text is null or cause = $4)`,
    [runId, hold.flow ?? '', hold.kind, hold.cause ?? null],
  );
  return rowCount ?? 0;
}

/** Takes every pause of a run away, of the whole and of its flows; tells how many there were. */
export async function liftPauses(on: Queryable, runId: string): Promise<number> {
  const { rowCount } = await on.query(`delete from rowfleet.hold where run_id = $1 and kind = 'pause'`, [
    runId,
  ]);
  return rowCount ?? 0;
}

/** What holds a run back, the oldest first. */
export async function readHolds(on: Queryable, runId: string): Promise<Hold[]> {
  const { rows } = await on.query(
    `select nullif(flow, '') as flow, kind, cause, reason, since from rowfleet.hold
      where run_id = $1 order by since, flow, kind, cause`,
    [runId],
  );
  return rows;
}

/**
 * SQL: whether the task `t` is held back, by a hold of its run or, for what copies rows, of its flow. A breaker lets the
 * one task through that shows whether it can close.
 */
export const isHeldBack = `exists (
  select 1 from rowfleet.hold h
   where h.run_id = t.run_id and (h.flow = '' or h.flow = t.flow) and h.lets is distinct from t.id)`;
