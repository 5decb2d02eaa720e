import type pg from 'pg';
import type { Epoch } from '../ledger/epochs.ts';
import type { Queryable } from '../ledger/ledger.ts';
import type { Run } from '../ledger/runs.ts';
import type { Endpoint } from '../pg/endpoint.ts';
import type { Session } from '../pg/session.ts';

/** A source snapshot and the session that keeps it. */
export interface Keeper {
  epoch: Epoch;
  session: Session;
  /** False once the session was seen to end. */
  alive: boolean;
  close(): Promise<void>;
}

/** The lead, and where it is written. */
export interface LeadContext {
  /** The target, which holds the ledger too. */
  target: pg.Pool;
  /** The epoch that this scheduler was elected with. */
  epoch: string;
  signal: AbortSignal;
}

/** One run, as the scheduler that drives it holds it. */
export interface RunContext extends LeadContext {
  run: Run;
  /** For reading. What is written goes through `asLeader`. */
  ledger: Queryable;
  source: Endpoint;
  keeper: Keeper | undefined;
  /** This look found something to do: the next one should come soon. */
  busy: boolean;
  /** Flows that are held back at this look. */
  heldFlows: ReadonlySet<string>;
  /** What this look found the run to wait for, with the number behind it; the driver writes it down. */
  waiting: string | null;
  log(message: string, fields?: Record<string, unknown>): void;
}

/** What a look at a phase came to: stay in it, or go on. */
export type PhaseResult = 'stay' | 'next';
