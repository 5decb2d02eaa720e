export const headerBytes = 5;
const copyData = 0x64; // 'd'

/** The server takes messages of less than 1 GiB (PQ_LARGE_MESSAGE_LIMIT in its src/include/libpq/libpq.h). */
const mostBytes = 2 ** 29;

/** A text as UTF-8, behind room for a frame's header. */
function bytesOf(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(headerBytes + length);
  bytes.write(text, headerBytes);
  return bytes;
}

/** Bytes behind room for a header, as a CopyData frame. */
function headed(bytes: Buffer): Buffer {
  bytes[0] = copyData;
  bytes.writeInt32BE(bytes.length - 1, 1);
  return bytes;
}

/** One CopyData frame with a text as UTF-8. */
export const frameOf = (text: string): Buffer => headed(bytesOf(text));

/**
 * CopyData frames with a text, or of bytes behind room for a header, which become the first of them. Several where one would be
 * more than `most` bytes: a frame need not end with a row.
 */
export function framesOf(content: string | Buffer, most = mostBytes): Buffer[] {
  const bytes = typeof content === 'string' ? bytesOf(content) : content;
  const frames = [headed(bytes.subarray(0, most))];
  for (let at = most; at < bytes.length; at += most - headerBytes) {
    const part = bytes.subarray(at, at + most - headerBytes);
    frames.push(headed(Buffer.concat([Buffer.alloc(headerBytes), part])));
  }
  return frames;
}
