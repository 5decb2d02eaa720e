import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { RowfleetError } from './errors.ts';

/** How a batch, a build or a check ended in this process. */
export type Outcome = 'done' | 'failed';

/** What one process counts of its own work. The whole fleet's figures come from the ledger: see ops/dashboard. */
export interface Metrics {
  registry: Registry;
  /** Rows that the target took in committed batches. */
  rows: Counter;
  /** Bytes of COPY data in committed batches. */
  bytes: Counter;
  batches: Counter<'outcome'>;
  /** Seconds from claim to commit or failure. */
  batchSeconds: Histogram<'outcome'>;
  builds: Counter<'outcome'>;
  checks: Counter<'outcome'>;
}

/** Where a process's metrics can be fetched. */
export interface MetricsServer {
  url: string;
  close(): Promise<void>;
}

/** The metrics of one process, in a registry of their own, every one labelled with the `kind` of the process. */
export function createMetrics(kind: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ process: kind });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const outcomes = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ['outcome'] as const, registers });
  return {
    registry,
    rows: new Counter({
      name: 'rowfleet_copied_rows_total',
      help: 'Rows that the target took in batches this process committed.',
      registers,
    }),
    bytes: new Counter({
      name: 'rowfleet_copied_bytes_total',
      help: 'Bytes of COPY data in batches this process committed.',
      registers,
    }),
    batches: outcomes(
      'rowfleet_batches_total',
      'Attempts at batches that ended in this process, by outcome.',
    ),
    batchSeconds: new Histogram({
      name: 'rowfleet_batch_duration_seconds',
      help: 'Seconds that attempts at batches took in this process, by outcome.',
      labelNames: ['outcome'] as const,
      // Adaptive sizing aims at seconds; the default timeout of a batch is 30.
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120],
      registers,
    }),
    builds: outcomes('rowfleet_builds_total', 'Indexes, keys and other objects brought back, by outcome.'),
    checks: outcomes('rowfleet_checks_total', 'Checks made by the validator, by outcome.'),
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === 'EADDRINUSE' ? 'the port is taken' : (cause.code ?? 'it failed');
      const hint = 'Choose another port; 0 takes a free one.';
      reject(
        new RowfleetError('METRICS_PORT', `cannot serve metrics on ${host}:${port}: ${reason}`, {
          kind: 'usage',
          hint,
          cause,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}

/**
 * Serves a registry at /metrics, on loopback unless told otherwise; port 0 takes a free one. Does not keep the
 * process alive. Throws METRICS_PORT when it cannot listen.
 */
export async function serveMetrics(
  registry: Registry,
  port: number,
  host = '127.0.0.1',
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('Metrics are at /metrics.\n');
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await listen(server, port, host);
  server.unref();
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
