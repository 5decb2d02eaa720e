import { Hono } from 'hono';
import type { Queues } from '../../jobs/queues.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Logger } from '../../src/log.ts';
import { safeMessage } from '../../src/pg/errors.ts';
import { readOverview } from '../../src/progress/fleet.ts';
import { createBoard } from './board.ts';
import { renderFleetMetrics } from './fleet-metrics.ts';
import { guard } from './guard.ts';
import { readHealth } from './health.ts';
import { retryRoute, retryRoutes } from './retry.ts';
import { messagePage, runsPage } from './runs-page.ts';
import { styleSheet } from './style.ts';

/** What the routes read from. */
export interface DashboardSources {
  ledger: Ledger;
  queues: Queues;
  log: Logger;
  /** Whether it is served to this machine only. */
  loopback: boolean;
}

const board = '/queues';

/** The dashboard's routes: `/`, `/queues`, `/metrics`, `/health`. */
export function createApp({ ledger, queues, log, loopback }: DashboardSources): Hono {
  const app = new Hono();
  const report = (error: unknown) => log.error({ error: safeMessage(error) }, 'a request failed');
  app.use(
    guard({
      loopback,
      mayPut: (path) => path.startsWith(board) && retryRoute.test(path.slice(board.length)),
    }),
  );
  app.get('/', async (c) =>
    c.html(runsPage({ target: ledger.endpoint.label, ...(await readOverview(ledger)) })),
  );
  app.get('/style.css', (c) => c.body(styleSheet, 200, { 'content-type': 'text/css; charset=utf-8' }));
  app.get('/metrics', async (c) => {
    const { text, contentType } = await renderFleetMetrics(ledger);
    return c.body(text, 200, { 'content-type': contentType });
  });
  app.get('/health', async (c) => {
    const health = await readHealth(ledger, queues);
    return c.json(health, health.status === 'ok' ? 200 : 503);
  });
  app.get(`${board}/`, (c) => c.redirect(board));
  const retry = loopback ? { retry: retryRoutes(ledger, queues) } : {};
  app.route(board, createBoard(queues, { path: board, onError: report, ...retry }));
  app.notFound((c) => c.html(messagePage('There is no such page.'), 404));
  app.onError((error, c) => {
    report(error);
    return c.html(messagePage('The ledger does not answer. The log of rowfleet web says why.'), 503);
  });
  return app;
}
