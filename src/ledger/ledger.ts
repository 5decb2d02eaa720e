import { readdirSync, readFileSync } from 'node:fs';
import type pg from 'pg';
import { RowfleetError } from '../errors.ts';
import type { Endpoint } from '../pg/endpoint.ts';
import { openPool, withSession } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';

/** The ledger of one target database: a pool of sessions on it. */
export interface Ledger {
  pool: pg.Pool;
  endpoint: Endpoint;
  close(): Promise<void>;
}

/** What a ledger function runs on: the pool, or one session when the statement belongs to its transaction. */
export type Queryable = Pick<pg.ClientBase, 'query'> | Pick<pg.Pool, 'query'>;

const migrations = new URL('./migrations/', import.meta.url);

/** Opens the ledger's pool (at most `max` sessions, default 4); connects only when first used. */
export function openLedger(
  endpoint: Endpoint,
  options: { max?: number; applicationName?: string } = {},
): Ledger {
  const pool = openPool(endpoint, {
    max: options.max ?? 4,
    applicationName: options.applicationName ?? 'rowfleet ledger',
  });
  return { pool, endpoint, close: () => pool.end() };
}

/** Whether the target holds a ledger. */
export async function ledgerExists(on: Queryable): Promise<boolean> {
  const { rows } = await on.query(`select to_regclass('rowfleet.migration') is not null as there`);
  return rows[0].there;
}

/**
 * Brings the ledger's schema up to date: creates it, or applies the numbered migrations that are missing.
 * Safe to call from many processes at once. Throws LEDGER_NEWER when a newer rowfleet wrote the schema.
 */
export async function migrateLedger(ledger: Ledger): Promise<void> {
  const files = readdirSync(migrations)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  await withSession(ledger.pool, (session) =>
    inTransaction(session, 'read committed', async () => {
      await session.query(`select pg_advisory_xact_lock(hashtextextended('rowfleet.migration', 0))`);
      if (!(await ledgerExists(session))) {
        await session.query('create schema if not exists rowfleet');
        await session.query(
          'create table rowfleet.migration (version int primary key, applied_at timestamptz not null default now())',
        );
      }
      const { rows } = await session.query(
        'select coalesce(max(version), 0) as version from rowfleet.migration',
      );
      if (rows[0].version > files.length) {
        throw new RowfleetError(
          'LEDGER_NEWER',
          `the ledger in ${ledger.endpoint.label} was written by a newer rowfleet`,
          {
            hint: 'use that version of rowfleet, or another target database',
          },
        );
      }
      for (const [index, file] of files.entries()) {
        if (index < rows[0].version) continue;
        await session.query(readFileSync(new URL(file, migrations), 'utf8'));
        await session.query('insert into rowfleet.migration (version) values ($1)', [index + 1]);
      }
    }),
  );
}

/** Removes the ledger with everything in it. */
export async function dropLedger(ledger: Ledger): Promise<void> {
  await ledger.pool.query('drop schema rowfleet cascade');
}
