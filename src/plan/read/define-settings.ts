import { z } from 'zod';
import { duration, whole } from './define-values.ts';

const atMost = duration
  .optional()
  .describe('How long a run is held for it before it goes on all the same. Defaults to 15m.');

const measure = (limit: z.ZodType<number>, means: string) =>
  z
    .union([z.literal('off'), z.strictObject({ limit, at_most: atMost })])
    .optional()
    .describe(means);

const throttle = z
  .strictObject({
    replication_lag: z
      .union([z.literal('off'), z.strictObject({ limit: duration.optional(), at_most: atMost })])
      .optional()
      .describe('Lag of any standby of the target. Defaults to {limit: 60s, at_most: 15m}.'),
    wal_to_archive: measure(
      whole(1, 1_000_000),
      'WAL files of the target that wait to be archived. Defaults to off.',
    ),
    vacuum: measure(
      whole(0, 10_000),
      'Target tables of the plan under vacuum or analyze, by autovacuum or people. Defaults to off.',
    ),
    source_sessions: measure(
      whole(1, 100_000),
      'Sessions that are active on the source, besides rowfleet’s own. Defaults to off.',
    ),
    disk: z
      .strictObject({
        target_gb: z
          .number()
          .positive()
          .optional()
          .describe('Gigabytes (10^9 bytes) that the target database may have. No limit by default.'),
        at_most: duration
          .optional()
          .describe('How long a run waits for space before it fails. Defaults to 15m.'),
      })
      .optional()
      .describe('Space on the target.'),
  })
  .optional()
  .describe('What holds a run back while a server is not well.');

/** The `migration:` key. */
export const settings = z
  .strictObject({
    batch_size: whole(1, 10_000_000)
      .optional()
      .describe(
        'Rows of the first batch of each flow; adaptive sizing goes on from there. Defaults to 1000.',
      ),
    max_retries: whole(0, 100)
      .optional()
      .describe('How often a failed batch is tried again before the run fails. Defaults to 3.'),
    timeout_per_batch: duration
      .optional()
      .describe('When an attempt at a batch is given up: 500ms, 30s, 2m or 1h. Defaults to 30s.'),
    batch_seconds: z
      .number()
      .min(0.1)
      .max(3600)
      .optional()
      .describe(
        'Seconds that a batch should take, at most half of timeout_per_batch. Defaults to 2, or a sixth of the timeout.',
      ),
    max_batch_mb: whole(1, 100_000)
      .optional()
      .describe('Megabytes that a batch may carry, as far as its size can be foreseen. Defaults to 256.'),
    parallel_workers: whole(1, 64)
      .optional()
      .describe('Loaders that migrate starts when it brings its own fleet. Defaults to 2.'),
    validation_level: z
      .enum(['basic', 'standard'])
      .optional()
      .describe(
        'basic: accounting and counts. standard: digests and relationships too. Defaults to standard.',
      ),
    quarantine_limit: z
      .strictObject({
        rows: whole(0, 1_000_000)
          .optional()
          .describe('Rows of the whole run; 0 stops at the first one. Defaults to 1000.'),
        ratio: z
          .number()
          .min(0)
          .max(1)
          .optional()
          .describe('Share of a flow’s rows, of at least a thousand. Defaults to 0.01.'),
      })
      .optional()
      .describe('Rows in quarantine beyond which the run stops.'),
    throttle,
    enable_rollback: z.literal(false).optional().describe('Not built yet: only false is accepted.'),
    backup_before_migrate: z
      .boolean()
      .optional()
      .describe(
        'true is refused while a target table holds rows, until backups are built. Defaults to false.',
      ),
    dry_run: z
      .boolean()
      .optional()
      .describe('Check everything, write nothing, as with migrate --dry-run. Defaults to false.'),
  })
  .describe('How the run behaves.');
