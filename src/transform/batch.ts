import { setImmediate as breathe } from 'node:timers/promises';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import type { CopyFormat, OpenStage } from '../wire/relay-types.ts';
import { Caller, isPromise } from './caller.ts';
import { FrameReader } from './decode/frame-reader.ts';
import { RowDecoder } from './decode/row-decoder.ts';
import { haveBinaryForm } from './encode/binary-values.ts';
import { typeInWords } from './encode/expected.ts';
import { OutputRows } from './encode/output-rows.ts';
import { MisfitRow, RowEncoder } from './encode/row-encoder.ts';
import {
  type RowPlace,
  RowsRefused,
  TransformHeld,
  TransformRefused,
  TransformResult,
  TransformThrew,
  TransformUnstable,
} from './errors.ts';
import { breakerDefaults } from './pace.ts';
import { type Transform, type Transforms, transformFor } from './transform.ts';
import type { InputRow } from './types.ts';

/** How long rows are worked on before timers and sockets get their turn: leases are renewed each second. */
const turnMs = 8;
/** Bytes, or characters, of output that are written at once. */
const writeLength = 1 << 16;
/** Bytes of input that a chunk of rows is made of at most, so that memory does not depend on their width. */
const maxChunkBytes = 16 * 2 ** 20;

/** Bytes of rows that are not tried twice: their copy and comparison alone would hold up the process. */
const tooMuchTwice = 2 ** 20;
/** Refused rows that are gathered before they are thrown. */
const mostGathered = 1000;

const isNone = (result: unknown): boolean => result === null || result === undefined;

export interface TransformBatchOptions {
  /** Its abort ends the batch with its reason. */
  signal: AbortSignal;
  /** Takes a CopyData frame with rows for COPY … FROM STDIN in a format; settles when more may come. */
  write: (frame: Buffer, format: CopyFormat) => void | Promise<void>;
  /** Whether rows may be written in binary format, up to one that has to be text. Defaults to false. */
  binary?: boolean;
  /** Columns that the source sends ahead of the input's own, as `TransformRefused.key()` gives them. Defaults to none. */
  before?: number;
  /**
   * Rows that are refused are left out, each alone, also of a chunk, and thrown together in the end as RowsRefused; what is
   * written is to be given up then. Defaults to false: the first one is thrown at once.
   */
  gather?: boolean;
}

export interface TransformTally {
  /** Rows of the source. */
  rowsIn: number;
  /** Rows that the function returned none for. */
  rowsNone: number;
  /** Rows for the target. */
  rowsOut: number;
}

/**
 * The stage between two COPYs: CopyData frames of the source in text format, cut anywhere, go in; the plan's function is
 * called for each row or chunk; frames for the target come out. Throws TransformThrew, TransformResult, TransformUnstable,
 * TransformHeld, RowsRefused, and the signal's reason. After a throw it is good for nothing.
 */
export class TransformBatch {
  readonly tally: TransformTally = { rowsIn: 0, rowsNone: 0, rowsOut: 0 };
  readonly #transform: Transform;
  readonly #options: TransformBatchOptions;
  readonly #caller: Caller;
  readonly #frames = new FrameReader();
  readonly #decoder: RowDecoder;
  readonly #encoder: RowEncoder;
  readonly #output: OutputRows;
  /** Rows in hand: those that are worked on, and those that wait until a chunk is full. */
  #rows: InputRow[] = [];
  #keys: (string | null)[][] = [];
  /** Bytes that came since the function was called. */
  #bytes = 0;
  /** What is called now: its first row among those in hand, and their number. */
  #at = 0;
  #count = 1;
  readonly #refused: TransformRefused[] = [];
  /** Rows that failed asynchronously, each alone, since one went well. */
  #failed = 0;
  #turnEnds = performance.now() + turnMs;

  constructor(transform: Transform, options: TransformBatchOptions) {
    this.#transform = transform;
    this.#options = options;
    this.#caller = new Caller(transform, options.signal, () => this.#place(), options.gather !== true);
    this.#decoder = new RowDecoder(transform.plan.input, options.before);
    this.#encoder = new RowEncoder(transform.plan.output);
    const mayBeBinary = options.binary === true && transform.onlyText !== true;
    this.#output = new OutputRows(this.#encoder, mayBeBinary && haveBinaryForm(transform.plan.output));
  }

  /** The format of the first row that is written. */
  get format(): CopyFormat {
    return this.#output.format;
  }

  /** Takes frames of the source; settles when their rows are written, or wait for a full chunk. Not to be called again before. */
  async push(frames: Buffer): Promise<void> {
    this.#options.signal.throwIfAborted();
    const payload = this.#frames.push(frames);
    const { rows, keys } = this.#decoder.push(payload);
    const { chunk } = this.#transform.plan;
    this.#bytes += payload.length;
    this.#rows = this.#rows.length === 0 ? rows : this.#rows.concat(rows);
    this.#keys = this.#keys.length === 0 ? keys : this.#keys.concat(keys);
    // One row of many megabytes takes as long as thousands.
    if (rows.length > 0 && this.#isDue()) await this.#pause();
    if (chunk === undefined) await this.#callRows();
    else await this.#callChunks(chunk, this.#bytes > maxChunkBytes);
    await this.#write();
  }

  /** The source has sent everything. Settles when everything is written. */
  async end(): Promise<void> {
    this.#decoder.end();
    const { chunk } = this.#transform.plan;
    if (chunk !== undefined) await this.#callChunks(chunk, true);
    await this.#write();
    if (this.#refused.length > 0) throw new RowsRefused(this.#refused);
  }

  #place(): RowPlace {
    const row = this.tally.rowsIn + this.#at;
    return { flow: this.#transform.flow, row, rows: this.#count, key: this.#keys[this.#at] ?? [] };
  }

  async #callRows(): Promise<void> {
    const rows = this.#rows;
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at]!;
      this.#at = at;
      // The first of each push is tried twice: what is not the same twice seldom is so for one row alone.
      const copy = at === 0 && this.#isTriedTwice ? structuredClone(row) : undefined;
      try {
        const mayBeGood = this.#keepsGood(row);
        const result = this.#caller.call(row);
        this.#take(isPromise(result) ? await result : result);
        if (isPromise(result)) this.#wentWell(mayBeGood);
        if (copy !== undefined && !isPromise(result)) this.#compare(at, [result], [this.#caller.call(copy)]);
      } catch (error) {
        await this.#refuse(error);
      }
      // Every few rows: asking for the time costs as much as a column.
      if ((at & 7) === 7 && this.#isDue()) await this.#pause();
    }
    if (rows.length > 0) this.#bytes = 0;
    this.#done(rows.length);
  }

  get #isTriedTwice(): boolean {
    return this.#caller.isDirect && this.#bytes < tooMuchTwice;
  }

  /** Calls the function with full chunks; with `all`, also with what is left of one. */
  async #callChunks(size: number, all: boolean): Promise<void> {
    while (this.#rows.length >= size || (all && this.#rows.length > 0)) {
      const rows = Math.min(size, this.#rows.length);
      await this.#callChunk(0, rows);
      this.#bytes = 0;
      this.#done(rows);
    }
  }

  /** Calls the function with some of the rows in hand; a chunk that is refused is halved where rows are gathered. */
  async #callChunk(from: number, count: number): Promise<void> {
    const rows = this.#rows.slice(from, from + count);
    const isFirst = this.tally.rowsIn === 0 && from === 0;
    const copy = isFirst && this.#isTriedTwice ? structuredClone(rows) : undefined;
    this.#at = from;
    this.#count = count;
    let results: unknown[];
    try {
      const mayBeGood = this.#keepsGood(rows[0]!);
      const started = this.#caller.call(rows);
      results = this.#resultsOf(isPromise(started) ? await started : started);
      if (isPromise(started)) this.#wentWell(mayBeGood);
      if (copy !== undefined && !isPromise(started))
        this.#compare(from, results, this.#resultsOf(this.#caller.call(copy)));
    } catch (error) {
      if (count === 1 || !this.#gathers(error)) return this.#refuse(error);
      const half = Math.floor(count / 2);
      await this.#callChunk(from, half);
      return this.#callChunk(from + half, count - half);
    }
    this.#count = 1;
    for (const [i, result] of results.entries()) {
      this.#at = from + i;
      try {
        this.#take(result);
      } catch (error) {
        await this.#refuse(error);
      }
      if (this.#isDue()) await this.#pause();
    }
  }

  #gathers(error: unknown): error is TransformRefused {
    return this.#options.gather === true && error instanceof TransformRefused;
  }

  /** Leaves a row out that is refused; throws it where rows are not gathered, and what is none. */
  async #refuse(error: unknown): Promise<void> {
    if (!this.#gathers(error)) throw error;
    if (error instanceof TransformThrew && error.isAsync && ++this.#failed % breakerDefaults.failures === 0)
      await this.#requireService();
    this.#refused.push(error);
    if (this.#refused.length >= mostGathered) throw new RowsRefused(this.#refused);
  }

  /** Throws TransformHeld unless a row goes well that did before: then it is no service that fails. */
  async #requireService(): Promise<void> {
    const { flow, good, plan } = this.#transform;
    const { failures, heldMs } = breakerDefaults;
    const held = new TransformHeld(flow, failures, new Date(Date.now() + heldMs));
    if (good === undefined) throw held;
    const row = structuredClone(good);
    try {
      await this.#caller.call(plan.chunk === undefined ? row : [row]);
    } catch (error) {
      throw error instanceof TransformThrew ? held : error;
    }
  }

  /** A row as it is before a call, which may change it; undefined where one is known already, or none is needed. */
  #keepsGood(row: InputRow): InputRow | undefined {
    return this.#transform.good === undefined && !this.#caller.isDirect ? structuredClone(row) : undefined;
  }

  #wentWell(row: InputRow | undefined): void {
    this.#failed = 0;
    this.#transform.good ??= row;
  }

  #resultsOf(result: unknown): unknown[] {
    if (Array.isArray(result) && result.length === this.#count) return result;
    const found = Array.isArray(result) ? `an array of ${result.length}` : typeInWords(result);
    throw new TransformResult(this.#place(), {
      expected: `an array of ${this.#count}, with what each row becomes`,
      found,
      hint: 'A function with chunk returns null in the place of a row that becomes none.',
    });
  }

  /** Writes down what one row became: a row, several, or none. */
  #take(result: unknown): void {
    const rows = Array.isArray(result) ? result.length : isNone(result) ? 0 : 1;
    if (rows === 0) this.tally.rowsNone++;
    else this.#add(result);
    this.tally.rowsOut += rows;
  }

  #add(result: unknown): void {
    try {
      this.#output.add(result);
    } catch (error) {
      throw this.#misfit(error);
    }
  }

  #linesOf(result: unknown): string {
    try {
      return isNone(result) ? '' : this.#encoder.lines(result);
    } catch (error) {
      throw this.#misfit(error);
    }
  }

  /** What was thrown for a result, as what it is of the row that the function was called with. */
  #misfit(error: unknown): unknown {
    return error instanceof MisfitRow ? new TransformResult(this.#place(), error.misfit) : error;
  }

  /** Throws TransformUnstable unless two calls with the same input became the same rows. */
  #compare(from: number, results: unknown[], again: unknown[]): void {
    this.#count = 1;
    for (const [i, result] of results.entries()) {
      this.#at = from + i;
      const [one, other] = [this.#linesOf(result), this.#linesOf(again[i])];
      if (one !== other) throw new TransformUnstable(this.#place(), this.#encoder.differing(one, other));
    }
  }

  #done(rows: number): void {
    this.tally.rowsIn += rows;
    this.#at = 0;
    this.#rows = this.#rows.slice(rows);
    this.#keys = this.#keys.slice(rows);
  }

  #isDue(): boolean {
    return this.#output.length > writeLength || performance.now() > this.#turnEnds;
  }

  async #pause(): Promise<void> {
    if (this.#output.length > writeLength) await this.#write();
    if (performance.now() <= this.#turnEnds) return;
    await breathe();
    this.#options.signal.throwIfAborted();
    this.#turnEnds = performance.now() + turnMs;
  }

  async #write(): Promise<void> {
    for (const { frame, format } of this.#output.take()) {
      if (this.#refused.length > 0) return; // It is given up.
      if (format === 'text' && this.#options.binary) this.#transform.onlyText = true;
      await this.#options.write(frame, format);
    }
  }
}

/** What a flow's rows go through between two COPYs; undefined where they pass as they are. Throws TRANSFORM_NOT_OPEN. */
export function stageFor(
  transforms: Transforms,
  flow: Pick<ResolvedFlow, 'name' | 'transform'>,
  options: Omit<TransformBatchOptions, 'write' | 'binary'>,
): OpenStage | undefined {
  const transform = transformFor(transforms, flow);
  return transform && ((write, binary) => new TransformBatch(transform, { ...options, write, binary }));
}
