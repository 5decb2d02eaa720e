const headerBytes = 5;
const copyData = 0x64; // 'd'

/** One CopyData frame with the text as UTF-8. */
export function frameOf(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(headerBytes + length);
  frame[0] = copyData;
  frame.writeInt32BE(4 + length, 1);
  frame.write(text, headerBytes);
  return frame;
}
