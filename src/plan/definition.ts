import { z } from 'zod';
import { durationPattern } from './duration.ts';

const durationMessage = 'must be a duration such as 30s, 500ms or 2m';

const text = z.string().min(1);
// Names go into the ledger, the queue and terminals.
const name = z.string().regex(/^\P{Cc}{1,200}$/u, 'must be 1 to 200 characters on one line');

const whole = (min: number, max: number) => z.int().min(min).max(max);

const duration = z.string(durationMessage).regex(durationPattern, durationMessage);

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

const settings = z
  .strictObject({
    batch_size: whole(1, 10_000_000)
      .optional()
      .describe(
        'Rows of the first batch of each flow; adaptive sizing goes on from there. Defaults to 1000.',
      ),
    max_retries: whole(0, 100)
      .optional()
      .describe('How often a failed batch is tried again before the run fails. Defaults to 3.'),
    timeout_per_batch: z
      .string(durationMessage)
      .regex(durationPattern, durationMessage)
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

const database = z
  .strictObject({
    host: text.optional().describe('Name, address, or directory of a Unix socket. Defaults to PGHOST.'),
    port: z
      .union([whole(1, 65_535), text])
      .optional()
      .describe('Defaults to PGPORT, then 5432.'),
    user: text.optional().describe('Defaults to PGUSER.'),
    password: z
      .string()
      .optional()
      .describe(
        'Write ${VARIABLE}: rowfleet never stores a password. Defaults to PGPASSWORD, then ~/.pgpass.',
      ),
    database: text.optional().describe('Defaults to PGDATABASE.'),
    ssl_mode: text
      .optional()
      .describe('disable, allow, prefer, require, verify-ca or verify-full, as in libpq.'),
    ssl_root_cert: text.optional().describe('File with the authorities to trust, or system.'),
    ssl_cert: text.optional().describe('File with the client certificate.'),
    ssl_key: text.optional().describe('File with the key of the client certificate.'),
    connect_timeout: z
      .union([whole(0, 3600), text])
      .optional()
      .describe('Seconds. Defaults to 15.'),
    application_name: text.optional(),
    options: text.optional().describe('Command-line options for the server, as in libpq.'),
  })
  .describe('A database by its settings; ${VARIABLE} is taken from the environment.');

const url = text.describe(
  'A libpq URL: postgres://user@host:5432/database?sslmode=verify-full, or ${VARIABLE}.',
);

const flow = z
  .strictObject({
    name: name.describe('What status and findings call it. Unique in the plan.'),
    from: text.describe('The driving table and its alias, e.g. chunks c. Batches are ranges of it.'),
    join: text.optional().describe('Anything legal after the driving table in a FROM clause.'),
    where: text.optional().describe('Which rows of the driving table count, as an SQL condition.'),
    to: text.describe('The target table. It exists, or schema creates it.'),
    columns: z
      .record(text, z.union([z.string(), z.number(), z.boolean()]))
      .refine((columns) => Object.keys(columns).length > 0, 'must name at least one column')
      .describe('Target column: SQL expression over the source.'),
    on_conflict: z
      .literal('error')
      .optional()
      .describe('Only error is built: a row that conflicts fails its batch.'),
  })
  .describe('One mapping from a driving table to a target table.');

/** The plan file, key by key: what parsing checks and what the JSON Schema for editors is generated from. */
export const planDefinition = z
  .strictObject({
    name: name.optional().describe('What the run is called. Defaults to the name of the file.'),
    source: url.optional(),
    source_database: database.optional(),
    target: url.optional(),
    target_database: database.optional(),
    schema: z
      .union([text, z.array(text)])
      .optional()
      .describe('DDL files, relative to this file, applied to the target before loading.'),
    migration: settings.optional(),
    tables: z
      .union([z.literal('*'), z.array(text).min(1)])
      .optional()
      .describe('Tables to copy in their own shape under the same name, or "*" for every table.'),
    flows: z.array(flow).min(1).optional().describe('Mappings into a new shape.'),
    consistency: z
      .literal('window')
      .optional()
      .describe('Only window is built: the source is not written to while the run goes on.'),
    allow_non_empty: z
      .boolean()
      .optional()
      .describe('Accept target tables that hold rows already. Defaults to false.'),
  })
  .describe('A rowfleet plan.');

/** A plan file's content, well-formed. */
export type PlanDocument = z.infer<typeof planDefinition>;
export type DatabaseDocument = z.infer<typeof database>;
