import type { Command } from 'commander';
import { type CommonOptions, emit, say, withCommonOptions } from '../command.ts';
import { serve, wholeNumber } from '../serve.ts';

interface WebOptions extends CommonOptions {
  port: string;
  host: string;
}

/** `rowfleet web`: Bull Board at /queues, the fleet's figures at /metrics, /health. */
export function addWeb(program: Command): void {
  const command = program
    .command('web')
    .summary('serve a page of the runs, Bull Board, metrics and health over HTTP')
    .description(
      'Serves a page of the runs at /, Bull Board at /queues, the figures of the whole fleet at /metrics, and /health. It has no login, so it ' +
        'listens on loopback unless told otherwise. Reads TARGET_DATABASE_URL and QUEUE_URL.',
    )
    .option('--port <port>', 'port to listen on', process.env.PORT ?? '7370')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .addHelpText('after', '\nExample:\n  TARGET_DATABASE_URL=postgres://app@db/new rowfleet web --port 7370');
  withCommonOptions(command).action(
    serve(async (context, options: WebOptions) => {
      const port = wholeNumber('--port', options.port, 0, 65_535);
      const { serveDashboard } = await import('../../dashboard/server.ts');
      const dashboard = await serveDashboard({ ...context, port, host: options.host });
      if (options.json === true) emit('serving', { url: dashboard.url });
      else say(`serving ${dashboard.url}`);
      await dashboard.closed;
    }),
  );
}
