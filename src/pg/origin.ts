import type { Endpoint } from './endpoint.ts';
import { causes } from './errors.ts';

const origins = new WeakMap<Error, Endpoint>();

/** Notes which server an error came from; the first note stays. Returns the error. */
export function markOrigin<E>(error: E, endpoint: Endpoint): E {
  if (error instanceof Error && !origins.has(error)) origins.set(error, endpoint);
  return error;
}

/** The server that an error came from, also through wrapped errors; undefined where no session was involved. */
export function originOf(error: unknown): Endpoint | undefined {
  for (const each of causes(error)) {
    const endpoint = origins.get(each);
    if (endpoint !== undefined) return endpoint;
  }
  return undefined;
}
