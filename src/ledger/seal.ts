import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { RowfleetError, usageError } from '../errors.ts';

/** Encrypts row values at rest, where a key is configured. */
export interface Seal {
  /** Tells keys apart; null where values are kept plain. Kept beside every sealed value. */
  id: string | null;
  /** `context` says what the value is of: a value moved elsewhere does not open. */
  close(text: string, context: string): Buffer;
  /** Throws SEAL_KEY_MISSING where `sealedWith` is not this key, and SEAL_BROKEN where the value was tampered with. */
  open(bytes: Buffer, sealedWith: string | null, context: string): string;
}

/** Base64 of 32 bytes; `openssl rand -base64 32` makes one. */
const variable = 'ROWFLEET_QUARANTINE_KEY';

const algorithm = 'aes-256-gcm';
const ivBytes = 12; // what GCM is specified for: NIST SP 800-38D, 8.2
const tagBytes = 16;

function readKey(given: string): Buffer {
  const key = Buffer.from(given, 'base64');
  if (key.length === 32 && /^[A-Za-z0-9+/]{43}=?$/.test(given)) return key;
  throw usageError(
    'SEAL_KEY_INVALID',
    `${variable} is not 32 bytes in base64`,
    'make one with: openssl rand -base64 32',
  );
}

/** The values are encrypted with a key that this process has not: it has none, or another one. */
function missingKey({ id }: Seal, sealedWith: string): RowfleetError {
  const lack = id === null ? `${variable} is not set` : `${variable} holds another one`;
  return usageError(
    'SEAL_KEY_MISSING',
    `the row is encrypted with key ${sealedWith}, and ${lack}`,
    `set ${variable} to the key that the loaders had`,
  );
}

/** Throws SEAL_KEY_MISSING where values that are kept with `sealedWith` cannot be opened. */
export function requireKey(seal: Seal, sealedWith: string | null): void {
  if (sealedWith !== null && sealedWith !== seal.id) throw missingKey(seal, sealedWith);
}

const plain: Seal = {
  id: null,
  close: (text) => Buffer.from(text),
  open(bytes, sealedWith) {
    requireKey(plain, sealedWith);
    return bytes.toString();
  },
};

/** AES-256-GCM with the key of `ROWFLEET_QUARANTINE_KEY`; plain where there is none. Throws SEAL_KEY_INVALID. */
export function sealFrom(env: NodeJS.ProcessEnv): Seal {
  const given = env[variable]?.trim();
  if (given === undefined || given === '') return plain;
  const key = readKey(given);
  const id = createHash('sha256').update('rowfleet seal').update(key).digest('hex').slice(0, 12);
  const seal: Seal = {
    id,
    close(text, context) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv(algorithm, key, iv, { authTagLength: tagBytes });
      cipher.setAAD(Buffer.from(context));
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), sealed]);
    },
    open(bytes, sealedWith, context) {
      if (sealedWith === null) return bytes.toString();
      requireKey(seal, sealedWith);
      const cipher = createDecipheriv(algorithm, key, bytes.subarray(0, ivBytes), {
        authTagLength: tagBytes,
      });
      cipher.setAAD(Buffer.from(context));
      cipher.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
      try {
        return Buffer.concat([cipher.update(bytes.subarray(ivBytes + tagBytes)), cipher.final()]).toString();
      } catch {
        throw new RowfleetError('SEAL_BROKEN', 'an encrypted value of the quarantine was changed or moved', {
          hint: 'discard the row, or send the batch again with: rowfleet requeue --reload',
        });
      }
    },
  };
  return seal;
}
