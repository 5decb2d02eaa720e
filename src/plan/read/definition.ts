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

const expression = z.union([text, z.number()]);
const expressions = z.union([expression, z.array(expression).min(1)]);

const column = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.strictObject({
    id_map: text.optional().describe('The id map that gives the new id.'),
    key: expressions.optional().describe('The old key, as the map has it: an expression, or a list of them.'),
    lookup: text.optional().describe('A table of the target to look in.'),
    by: z
      .record(text, z.string())
      .optional()
      .describe('Its column: SQL expression over the source that it must equal.'),
    take: text.optional().describe('Its column whose value is taken.'),
    missing: z
      .enum(['error', 'null'])
      .nullable()
      .optional()
      .describe('What a key gives that is not there. Defaults to error: the row is refused.'),
  }),
]);

const columns = z
  .record(text, column)
  .refine((all) => Object.keys(all).length > 0, 'must name at least one column')
  .describe('Target column: SQL expression over the source, or where its value is looked up.');

/** What one output of a flow consists of. */
const output = {
  to: text.optional().describe('The target table. It exists, or schema creates it.'),
  where: text.optional().describe('Which rows of the driving table count, as an SQL condition.'),
  columns: columns.optional(),
  on_conflict: z
    .enum(['error', 'skip', 'update', 'merge'])
    .optional()
    .describe(
      'Of rows with one conflict_key: error: refused; skip: the first in the order stays; update: the last one does; merge: each column takes its first value that is not null. Defaults to error.',
    ),
  conflict_key: z
    .array(text)
    .min(1)
    .optional()
    .describe('Target columns that tell what on_conflict is about. Defaults to the key of the table.'),
  order: expressions
    .optional()
    .describe('Expressions as in ORDER BY, with desc and nulls last: what on_conflict goes by.'),
};

const transform = z
  .union([
    text,
    z.strictObject({
      file: text.describe(
        'transforms/chunk.ts, or transforms/chunk.ts#name for another export than the default.',
      ),
      chunk: whole(1, 100_000)
        .optional()
        .describe(
          'The function takes an array of so many rows, fewer at the end, and returns one as long. Defaults to a row.',
        ),
      calls_per_second: z
        .number()
        .min(0.001)
        .max(100_000)
        .optional()
        .describe('Calls of the function a second in each loader, evenly spaced. No limit by default.'),
      constants: z
        .record(text, z.json())
        .optional()
        .describe('What the function finds as constants in its second argument.'),
      returns: z
        .array(text)
        .min(1)
        .optional()
        .describe('Target columns that the function fills. Defaults to all but generated ones.'),
    }),
  ])
  .optional()
  .describe(
    'A function in TypeScript or JavaScript below the folder of this file, which columns are the input of.',
  );

const flow = z
  .strictObject({
    name: name.describe('What status and findings call it. Unique in the plan.'),
    from: text.describe('The driving table and its alias, e.g. chunks c. Batches are ranges of it.'),
    join: text.optional().describe('Anything legal after the driving table in a FROM clause.'),
    join_rows: z
      .enum(['exact', 'may_lose', 'may_multiply', 'any'])
      .optional()
      .describe(
        'What the join may do to driving rows. Defaults to exact: one joined row for each, or none for a left join.',
      ),
    group_by: expressions
      .optional()
      .describe('An output row for each group of driving rows; columns may hold aggregates.'),
    window_by: expressions
      .optional()
      .describe('An output row for each driving row; columns may hold window functions over these groups.'),
    ...output,
    transform,
    outputs: z
      .array(
        z.strictObject({
          name: name.optional().describe('Defaults to the names of flow and table.'),
          ...output,
        }),
      )
      .min(1)
      .optional()
      .describe(
        'Several target tables that are filled in one read of the source, instead of to and columns.',
      ),
  })
  .describe('One mapping from a driving table to one target table or several.');

const idMap = z
  .strictObject({
    from: text.describe('The table whose keys are mapped, and its alias.'),
    where: text.optional().describe('Which of its rows, as an SQL condition.'),
    key: expressions.describe(
      'The old key: an expression over the table, or a list of them. Unique, never NULL.',
    ),
    new: z
      .enum(['uuid', 'sequence'])
      .describe('What a new id is: a random uuid, or the next whole number from 1.'),
  })
  .describe('A durable map from old keys to new ones, kept in the ledger after the run.');

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
    id_maps: z
      .record(
        z.string().regex(/^[a-z_][a-z0-9_]{0,40}$/, 'must be lower-case letters, digits and _, 41 at most'),
        idMap,
      )
      .optional()
      .describe('Maps from old keys to new ones, by their names.'),
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
