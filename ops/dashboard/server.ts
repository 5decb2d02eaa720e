import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { openQueueBackend } from '../../jobs/backend.ts';
import { openQueues } from '../../jobs/queues.ts';
import { openTarget } from '../../src/control/open.ts';
import { RowfleetError } from '../../src/errors.ts';
import { createLogger } from '../../src/log.ts';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { createApp } from './app.ts';
import { isLoopback } from './guard.ts';

export interface DashboardOptions {
  targetUrl: string;
  /** `redis://` or `rediss://`; the target database itself when absent. */
  queueUrl?: string;
  /** Defaults to 7370; 0 takes a free one. */
  port?: number;
  /** Defaults to 127.0.0.1. There is no login: any other address shows the runs to whoever reaches it. */
  host?: string;
  /** Closes the dashboard. */
  signal?: AbortSignal;
}

export interface Dashboard {
  url: string;
  /** Settles once it has been closed. */
  closed: Promise<void>;
  close(): Promise<void>;
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      reject(
        new RowfleetError(
          'DASHBOARD_PORT',
          `cannot listen on ${host}:${port}: ${taken ? 'the port is taken' : (cause.code ?? cause.message)}`,
          { kind: 'usage', hint: 'Choose another one with --port; 0 takes a free one.', cause },
        ),
      );
    });
    server.listen(port, host, resolve);
  });
}

/**
 * Serves runs, Bull Board, metrics and health of one target's fleet over HTTP until `signal` or `close`.
 * Throws when target or queue cannot be reached, or the port is taken (DASHBOARD_PORT).
 */
export async function serveDashboard(options: DashboardOptions): Promise<Dashboard> {
  const host = options.host ?? '127.0.0.1';
  const ledger = await openTarget(endpointFromUrl(options.targetUrl), 'rowfleet web');
  try {
    const backend = await openQueueBackend(options.queueUrl, ledger);
    const queues = openQueues(backend);
    const log = createLogger('web');
    const app = createApp({ ledger, queues, log, loopback: isLoopback(host) });
    const server = createAdaptorServer({ fetch: app.fetch }) as Server;
    try {
      await listen(server, options.port ?? 7370, host);
    } catch (error) {
      await queues.close();
      throw error;
    }
    const { port } = server.address() as AddressInfo;
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}/`;
    log.info({ url, queue: backend.label }, 'dashboard serves');
    let closing: Promise<void> | undefined;
    let settle = () => {};
    const closed = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const shut = async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await queues.close();
      await ledger.close();
      settle();
    };
    const close = () => {
      closing ??= shut();
      return closing;
    };
    if (options.signal?.aborted) void close();
    options.signal?.addEventListener('abort', () => void close(), { once: true });
    return { url, closed, close };
  } catch (error) {
    await ledger.close().catch(() => {});
    throw error;
  }
}
