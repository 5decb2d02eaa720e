import type { Duplex } from 'node:stream';
import pg from 'pg';
import { RowfleetError } from '../errors.ts';
import { connectionError } from './connection-error.ts';
import type { Endpoint } from './endpoint.ts';
import { sqlState } from './errors.ts';
import { markOrigin } from './origin.ts';
import { sqlStates } from './sql-states.ts';

type Ssl = pg.ClientConfig['ssl'];

/** What each endpoint of mode `prefer` or `allow` turned out to take, as long as it goes on working. */
const settled = new WeakMap<Endpoint, Promise<Ssl>>();

const noTls = 'The server does not support SSL connections';

/** Whether libpq would try the other way too: TLS is not there, its handshake fails, or pg_hba.conf refuses. */
function worthTryingOtherwise(error: unknown, encrypted: boolean): boolean {
  if (sqlState(error) === sqlStates.invalidAuthorization) return true;
  if (!encrypted || sqlState(error) !== undefined) return false;
  const { code, message } = error as NodeJS.ErrnoException;
  return message === noTls || /SSL|TLS|CERT|SIGNATURE|EPROTO/.test(code ?? '');
}

async function tryOnce(endpoint: Endpoint, ssl: Ssl): Promise<void> {
  const client = new pg.Client({ connectionTimeoutMillis: 15_000, ...endpoint.config, ssl });
  client.on('error', () => {});
  try {
    await client.connect();
  } finally {
    await client.end().catch(() => {});
  }
}

/** `prefer`: TLS, then plain; `allow`: plain, then TLS. */
async function settle(endpoint: Endpoint): Promise<Ssl> {
  const tls = endpoint.config.ssl;
  const [first, second]: [Ssl, Ssl] = endpoint.sslMode === 'prefer' ? [tls, false] : [false, tls];
  try {
    await tryOnce(endpoint, first);
    return first;
  } catch (error) {
    if (!worthTryingOtherwise(error, first !== false)) throw error;
    // A server without TLS leaves one way only, and whoever asked will see how that goes.
    if ((error as Error).message === noTls) return second;
    await tryOnce(endpoint, second).catch((other) => {
      throw worthTryingOtherwise(other, second !== false) ? error : other;
    });
    return second;
  }
}

function settledSsl(endpoint: Endpoint): Promise<Ssl> {
  if (endpoint.sslMode !== 'prefer' && endpoint.sslMode !== 'allow')
    return Promise.resolve(endpoint.config.ssl);
  let choice = settled.get(endpoint);
  if (choice === undefined) {
    choice = settle(endpoint);
    settled.set(endpoint, choice);
    choice.catch(() => settled.delete(endpoint));
  }
  return choice;
}

/** `clientFor`, as a pool's `Client` setting is typed. */
export const poolClientFor = (endpoint: Endpoint) =>
  clientFor(endpoint) as unknown as NonNullable<pg.PoolConfig['Client']>;

/**
 * An endpoint's config for code that makes its own pools and clients (BullMQ does): with `prefer` or `allow`, TLS is
 * what the server was found to take. Throws a RowfleetError when it cannot be reached.
 */
export async function settledConfig(endpoint: Endpoint): Promise<pg.PoolConfig> {
  try {
    return { ...endpoint.config, ssl: await settledSsl(endpoint), Client: poolClientFor(endpoint) };
  } catch (error) {
    throw connectionError(error, endpoint.label);
  }
}

/**
 * pg.Client for one endpoint: does its sslmode, a failed connection is an error that says what to do, and every error
 * knows the server that it came from (src/pg/origin.ts).
 */
export function clientFor(endpoint: Endpoint): typeof pg.Client {
  return class EndpointClient extends pg.Client {
    constructor(config?: string | pg.ClientConfig) {
      super(config);
      // A pool's listener is gone while a session is in use: without one, a session that is lost between two
      // statements would end the process. It shows itself in the next statement.
      this.on('error', () => {});
    }

    override connect(): Promise<EndpointClient>;
    override connect(callback: (error: Error) => void): void;
    override connect(callback?: (error: Error) => void): Promise<EndpointClient> | undefined {
      const connected = this.#connect();
      if (callback === undefined) return connected;
      // pg's callbacks get null for success, whatever the types say.
      connected.then(() => callback(null as unknown as Error), callback);
      return undefined;
    }

    async #connect(): Promise<this> {
      const internals = this as unknown as { ssl: Ssl; connection: { ssl: Ssl; stream: Duplex } };
      try {
        const ssl = await settledSsl(endpoint);
        // pg reads both when it connects; a Client for which the choice is made later must set them itself.
        internals.ssl = ssl;
        internals.connection.ssl = ssl;
        await super.connect();
        return this;
      } catch (error) {
        settled.delete(endpoint);
        // pg leaves the socket open when the failure is the client's own.
        internals.connection.stream.destroy();
        throw markOrigin(connectionError(error, endpoint.label), endpoint);
      }
    }

    // biome-ignore lint/suspicious/noExplicitAny: pg declares ten forms of it, and all of them pass.
    override query(...args: any[]): any {
      const [first] = args;
      if (typeof first?.submit === 'function') {
        const handle = first.handleError?.bind(first);
        if (handle !== undefined)
          first.handleError = (error: unknown, wire: unknown) => {
            // What destroyed the session comes back by it: an error of ours is not the server's.
            handle(error instanceof RowfleetError ? error : markOrigin(error, endpoint), wire);
          };
      }
      const answer = super.query(...(args as [string]));
      if (typeof answer?.then !== 'function') return answer;
      return answer.catch((error: unknown) => {
        throw markOrigin(error, endpoint);
      });
    }
  };
}
