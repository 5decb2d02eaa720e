import type { Session } from '../pg/session.ts';

export interface RelayTally {
  rowsOut: number;
  rowsIn: number;
  bytes: number;
}

export type CopyFormat = 'binary' | 'text';

/** One side of a relay: the session, and the COPY that it is to run. */
export interface RelaySide {
  session: Session;
  statement: string;
}

/** The target's side. */
export interface RelayTarget extends RelaySide {
  /** The same COPY in binary format, where rows may come so through a stage. */
  binary?: string;
}

export interface RelayOptions {
  /** Its abort destroys both sessions. */
  signal: AbortSignal;
  /** Hears of every chunk. */
  onBytes?: (bytes: number) => void;
  /** What rows go through between the two. Absent: the bytes pass as they are. */
  through?: OpenStage;
}

/** What a relay came to that outlives a server's refusal. */
export type RelayOutcome =
  | ({ kind: 'copied' } & RelayTally)
  | { kind: 'refused'; side: 'source' | 'target'; error: Error };

/** What stands between two COPYs and makes rows of rows. */
export interface Stage {
  /** Takes CopyData frames of the source, cut anywhere; settles when it may be called again. */
  push(frames: Buffer): Promise<void>;
  /** The source has sent everything. Settles when everything is written. */
  end(): Promise<void>;
  readonly tally: { rowsOut: number };
  /** That it begins to write in. */
  readonly format: CopyFormat;
}

/**
 * Begins a stage. `write` takes a whole CopyData frame for the target, and settles when more may come; `binary`: whether the
 * target takes that format too.
 */
export type OpenStage = (
  write: (frame: Buffer, format: CopyFormat) => Promise<void>,
  binary: boolean,
) => Stage;
