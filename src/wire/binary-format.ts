import { FrameWriter } from './frame-writer.ts';
import type { CopyFormat } from './relay-types.ts';

const nothing = new Uint8Array(0);
const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const flagsAndExtension = 8;
/** How a binary COPY begins: signature, no flags, no extension. */
const binaryHeader = Buffer.concat([signature, Buffer.alloc(flagsAndExtension)]);
const binaryTrailer = new Uint8Array([0xff, 0xff]);

/** What a COPY in a format begins and ends with, around its rows. */
export function envelope(format: CopyFormat): { before: Buffer[]; after: Buffer[] } {
  if (format === 'text') return { before: [], after: [] };
  const frame = (content: Uint8Array) => {
    const writer = new FrameWriter();
    writer.add(content, Buffer.alloc(0), 0, 0, nothing);
    return writer.drain().frames;
  };
  return { before: frame(binaryHeader), after: frame(binaryTrailer) };
}

/** The offset of the first row of a binary COPY; its header may have an extension. */
export function afterHeader(bytes: Buffer, from: number): number {
  const extension = from + signature.length + flagsAndExtension;
  return extension + bytes.readInt32BE(extension - 4);
}
