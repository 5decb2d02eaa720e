import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { HonoAdapter } from '@bull-board/hono';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';
import type { Queues } from '../../jobs/queues.ts';
import { retriedQueues } from './retry.ts';

const descriptions: Record<Exclude<keyof Queues, 'close'>, string> = {
  copy: 'one job a batch',
  build: 'one job an index, key or finishing step',
  validate: 'one job a check',
  control: 'wakes the scheduler',
};

/** Links to other sites in Bull Board's page: its font. The content policy forbids them too, with noise. */
const foreignLink = /<link\b[^>]*\bhref="(?:https?:)?\/\/[^"]*"[^>]*>/gi;

/** Hides the buttons of everything but Retry: they would be refused. */
const onlyRetry = `<style>
  ul[class*="jobActions-"] > li:not(:has(.lucide-refresh-cw)), ul[class*="queueActions-"] > li:not(:has(.lucide-refresh-cw)),
  button[class*="trigger-"]:has(.lucide-ellipsis-vertical) { display: none }
</style>`;

/** What a board needs to let people retry. */
export interface BoardOptions {
  /** Where it is mounted. */
  path: string;
  /** Takes the place of Bull Board's own retries; without it, it only looks. */
  retry?: Hono;
  onError: (error: unknown) => void;
}

/**
 * Bull Board over the four queues. A job is a doorbell, and what people do to a run is recorded: so nothing of it changes
 * a queue, and its Retry buttons do what `rowfleet requeue` does.
 */
export function createBoard(queues: Queues, { path, retry, onError }: BoardOptions): Hono {
  const adapter = new HonoAdapter(serveStatic).setBasePath(path);
  const names = Object.keys(descriptions) as (keyof typeof descriptions)[];
  createBullBoard({
    queues: names.map((name) => {
      const retries = retry !== undefined && retriedQueues.some((each) => each === name);
      const options = { readOnlyMode: !retries, allowRetries: retries, allowCompletedRetries: false };
      return new BullMQAdapter(queues[name], { ...options, description: descriptions[name] });
    }),
    serverAdapter: adapter,
    options: {
      uiConfig: {
        boardTitle: 'rowfleet',
        hideDocsLink: true,
        hideRedisDetails: true,
        sortQueues: false,
        miscLinks: [{ text: 'Runs', url: '/' }],
      },
    },
  });
  // Its own answer repeats the error's message, which can name hosts and users.
  adapter.setErrorHandler((error) => {
    onError(error);
    return {
      status: 500,
      body: { error: 'ERRORS.INTERNAL_SERVER_ERROR', message: 'The queue does not answer.' },
    };
  });
  const board = new Hono();
  board.use(async (c, next) => {
    await next();
    if (!c.res.headers.get('content-type')?.startsWith('text/html')) return;
    const page = (await c.res.text()).replaceAll(foreignLink, '').replace('</head>', `${onlyRetry}</head>`);
    c.res = new Response(page, {
      status: c.res.status,
      headers: { 'content-type': 'text/html; charset=utf-8' },
    });
  });
  if (retry !== undefined) board.route('/', retry);
  board.route('/', adapter.registerPlugin());
  return board;
}
