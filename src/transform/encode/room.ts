import { framesOf, headerBytes } from './frame-of.ts';

/** Bytes that a room has at first: a frame of 64 KiB and the row that goes beyond. */
const firstBytes = 96 * 1024;
/** Under this, a loop is faster than a call into native code. */
const shortText = 24;
/** Under this, thrice the length is simply held free. */
const longText = 1 << 14;

/** Bytes of rows on their way into one CopyData frame. */
export class Room {
  bytes: Buffer = Buffer.allocUnsafeSlow(firstBytes);
  view = new DataView(this.bytes.buffer);
  /** Where the next value goes. */
  at = headerBytes;

  /** Bytes of rows that it holds. */
  get length(): number {
    return this.at - headerBytes;
  }

  /** Has room for so many bytes more. */
  need(bytes: number): void {
    if (this.at + bytes > this.bytes.length) this.#move(this.at + bytes);
  }

  #move(least: number): void {
    const before = this.bytes.subarray(0, this.at);
    this.#renew(Math.max(least, 2 * this.bytes.length));
    before.copy(this.bytes);
  }

  #renew(length: number): void {
    this.bytes = Buffer.allocUnsafeSlow(length);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Begins a row of so many fields. */
  count(fields: number): void {
    this.need(2);
    this.view.setInt16(this.at, fields);
    this.at += 2;
  }

  byte(byte: number): void {
    this.need(1);
    this.bytes[this.at++] = byte;
  }

  /** Adds NULL. */
  none(): void {
    this.need(4);
    this.view.setInt32(this.at, -1);
    this.at += 4;
  }

  /** Adds a text as UTF-8, without its length. */
  text(text: string): void {
    this.need(text.length < longText ? 3 * text.length : Buffer.byteLength(text));
    if (text.length >= shortText || !this.#ascii(text)) this.at += this.bytes.write(text, this.at);
  }

  /** Adds a text if all of it is ASCII. */
  #ascii(text: string): boolean {
    const { bytes, at } = this;
    let all = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      all |= code;
      bytes[at + i] = code;
    }
    if (all > 0x7f) return false;
    this.at += text.length;
    return true;
  }

  /** What it holds as CopyData frames, which are the taker's own; it is empty then. */
  take(): Buffer[] {
    const held = this.bytes.subarray(0, this.at);
    this.at = headerBytes;
    // A socket may keep small ones for long: not each in a room of its own.
    if (held.length < firstBytes / 2) return framesOf(Buffer.from(held));
    this.#renew(firstBytes);
    return framesOf(held);
  }
}
