import { RowfleetError } from '../../../errors.ts';
import type { HandedRecord } from '../../../pg/hand-over.ts';
import type { ResolvedFlow } from '../../../plan/resolved-plan.ts';
import { TransformBatch } from '../../../transform/batch.ts';
import { FrameReader } from '../../../transform/decode/frame-reader.ts';
import { RowDecoder } from '../../../transform/decode/row-decoder.ts';
import { frameOf } from '../../../transform/encode/frame-of.ts';
import { RowEncoder } from '../../../transform/encode/row-encoder.ts';
import { TransformRefused, TransformThrew } from '../../../transform/errors.ts';
import { loadTransform } from '../../../transform/load.ts';
import { openTransform, type Transform } from '../../../transform/transform.ts';
import type { SampledRefusal } from './types.ts';

/** What a transform made of one row: texts for the target's columns. */
export type Made =
  | { kind: 'rows'; rows: HandedRecord[] }
  | { kind: 'refused'; refusal: SampledRefusal }
  | { kind: 'unknown'; why: string };

/** A flow's transform, called with one row at a time. */
export type CallTransform = (texts: HandedRecord) => Promise<Made>;

const text = { name: 'text', array: false } as const;

/** A row as a line of COPY in text format. */
function lineOf(texts: HandedRecord): string {
  const columns = texts.map((_, i) => ({
    name: `c${i}`,
    type: 'text',
    value: text,
    nullable: true,
    optional: true,
  }));
  return new RowEncoder(columns).encode(Object.fromEntries(texts.map((value, i) => [`c${i}`, value])));
}

function refusalOf(error: TransformRefused): SampledRefusal {
  const said = error instanceof TransformThrew ? `: ${error.sealedMessage()}` : '';
  const column = error.column === undefined ? {} : { column: error.column };
  // It is called with one row, which the place among others would only hide.
  const message = `${error.message.replace(/ (for row 1 of the batch|\(row 1 of the batch\))/, '')}${said}`;
  return { side: 'transform', code: error.code, ...column, message };
}

async function callOnce(transform: Transform, width: number, texts: HandedRecord): Promise<HandedRecord[]> {
  const frames = new FrameReader();
  const decoder = new RowDecoder([], width);
  const rows: HandedRecord[] = [];
  const write = (written: Buffer) => {
    rows.push(...decoder.push(frames.push(written)).keys);
  };
  const batch = new TransformBatch(transform, { signal: AbortSignal.timeout(30_000), write });
  await batch.push(frameOf(lineOf(texts)));
  await batch.end();
  return rows;
}

/**
 * Loads a flow's transform into this process. A row for which it asks an id map cannot be told before the run.
 * @param folder of the plan
 */
export async function openForSample(
  { name, transform: plan, columns }: ResolvedFlow,
  folder: string,
): Promise<CallTransform | undefined> {
  if (plan === undefined) return undefined;
  let asked = false;
  const idMap = async () => {
    asked = true;
    throw new RowfleetError('ID_MAP_EMPTY', 'the run fills the id map');
  };
  const transform = openTransform(name, plan, await loadTransform(folder, plan), idMap);
  return async (texts) => {
    asked = false;
    try {
      return { kind: 'rows', rows: await callOnce(transform, columns.length, texts) };
    } catch (error) {
      if (asked) return { kind: 'unknown', why: 'its transform asks an id map, which the run fills' };
      if (error instanceof TransformRefused) return { kind: 'refused', refusal: refusalOf(error) };
      if (error instanceof RowfleetError) return { kind: 'unknown', why: error.message };
      throw error;
    }
  };
}
