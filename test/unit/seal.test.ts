import { expect, test } from 'vitest';
import { type Seal, sealFrom } from '../../src/ledger/seal.ts';
import { closeColumnLike, openColumn } from '../../src/ledger/sealed-columns.ts';

const keyOf = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const seal = (byte: number): Seal => sealFrom({ ROWFLEET_QUARANTINE_KEY: keyOf(byte) });

test('opens what it closed, with its key and in its place only', () => {
  const [mine, other] = [seal(1), seal(2)];
  const closed = mine.close('{"id": "7"}', '1 book source_key');
  expect(closed.toString('latin1')).not.toContain('"7"');
  expect(mine.open(closed, mine.id, '1 book source_key')).toBe('{"id": "7"}');
  expect(() => mine.open(closed, mine.id, '2 book source_key')).toThrow(
    expect.objectContaining({ code: 'SEAL_BROKEN' }),
  );
  expect(() => other.open(closed, mine.id, '1 book source_key')).toThrow(
    expect.objectContaining({ code: 'SEAL_KEY_MISSING', message: expect.stringContaining(mine.id!) }),
  );
  closed[closed.length - 1]! ^= 1;
  expect(() => mine.open(closed, mine.id, '1 book source_key')).toThrow(
    expect.objectContaining({ code: 'SEAL_BROKEN' }),
  );
});

test('what is added to a row is kept with the key of its other values, or not at all', () => {
  const [mine, other] = [seal(1), seal(2)];
  const owner = { runId: '1', flow: 'book', sealedWith: mine.id };
  const closed = closeColumnLike(mine, owner, 'edited', '[{"id": "7"}]');
  expect(openColumn(mine, owner, 'edited', closed)).toBe('[{"id": "7"}]');
  for (const lacking of [other, sealFrom({})])
    expect(() => closeColumnLike(lacking, owner, 'edited', '[]')).toThrow(
      expect.objectContaining({ code: 'SEAL_KEY_MISSING' }),
    );
  const plain = closeColumnLike(mine, { ...owner, sealedWith: null }, 'edited', '[]');
  expect(plain!.toString()).toBe('[]');
});

test('the same text is never the same bytes', () => {
  expect(seal(1).close('text', 'c').equals(seal(1).close('text', 'c'))).toBe(false);
});

test('without a key values are plain, and sealed ones stay shut', () => {
  const plain = sealFrom({});
  expect(plain.id).toBeNull();
  expect(plain.open(plain.close('text', 'c'), null, 'c')).toBe('text');
  expect(() => plain.open(Buffer.from(''), 'abc', 'c')).toThrow(
    expect.objectContaining({ code: 'SEAL_KEY_MISSING' }),
  );
});

test.each(['short', keyOf(1).slice(0, 40), `${keyOf(1)}AAAA`, 'ä'.repeat(44)])(
  'a key that is not 32 bytes in base64 is refused: %s',
  (key) => {
    expect(() => sealFrom({ ROWFLEET_QUARANTINE_KEY: key })).toThrow(
      expect.objectContaining({ code: 'SEAL_KEY_INVALID' }),
    );
  },
);
