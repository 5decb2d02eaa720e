import { requireKey, type Seal } from './seal.ts';

/** The columns of the quarantine that hold row values. */
export type SealedColumn = 'source_key' | 'source_row' | 'target_rows' | 'edited' | 'trace';

/** Whose values they are: a value that is moved to another run, flow or column does not open. */
interface Owner {
  runId: string;
  flow: string;
}

const contextOf = ({ runId, flow }: Owner, column: SealedColumn): string => `${runId} ${flow} ${column}`;

/** A value as its column keeps it. */
export function closeColumn(
  seal: Seal,
  owner: Owner,
  column: SealedColumn,
  text: string | null,
): Buffer | null {
  return text === null ? null : seal.close(text, contextOf(owner, column));
}

/** A value for a row that is there: kept as its other values are. Throws SEAL_KEY_MISSING. */
export function closeColumnLike(
  seal: Seal,
  owner: Owner & { sealedWith: string | null },
  column: SealedColumn,
  text: string | null,
): Buffer | null {
  if (text === null || owner.sealedWith === null) return text === null ? null : Buffer.from(text);
  requireKey(seal, owner.sealedWith);
  return closeColumn(seal, owner, column, text);
}

/** A value of a column. Throws SEAL_KEY_MISSING and SEAL_BROKEN. */
export function openColumn(
  seal: Seal,
  owner: Owner & { sealedWith: string | null },
  column: SealedColumn,
  bytes: Buffer | null,
): string | null {
  return bytes === null ? null : seal.open(bytes, owner.sealedWith, contextOf(owner, column));
}
