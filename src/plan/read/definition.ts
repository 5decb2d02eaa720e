import { z } from 'zod';
import { flow, idMap } from './define-flow.ts';
import { settings } from './define-settings.ts';
import { name, text, whole } from './define-values.ts';

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
