import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Session } from '../../src/pg/session.ts';
import { inTransaction, setSearchPath } from '../../src/pg/transaction.ts';

/** The demo's plan and the DDL of its target, as absolute paths. */
export const demoPlan = join(import.meta.dirname, 'demo.yaml');
export const demoTarget = join(import.meta.dirname, 'target.sql');

export interface DemoSourceOptions {
  /** Rows in all tables together, about. Defaults to 1,000,000; at least 1,000. */
  rows?: number;
  /** The same seed gives the same rows. Defaults to 1. */
  seed?: number;
}

/** How the rows are shared out; 100,000 of a million are vectors. */
function sizes(rows: number): Record<string, number> {
  const texts = Math.max(50, Math.ceil(rows / 50));
  const chunks = texts * 20;
  return {
    texts,
    chunks,
    tags: Math.min(500, Math.max(20, Math.ceil(rows / 2000))),
    chunk_tags: chunks,
    chunk_embeddings: chunks / 4,
    graph_nodes: chunks / 5,
  };
}

/** Fills an empty database, in the schema public, with the demo's old shape. Returns the rows of each table. */
export async function createDemoSource(
  session: Session,
  options: DemoSourceOptions = {},
): Promise<Record<string, number>> {
  const size = sizes(options.rows ?? 1_000_000);
  const sql = await readFile(join(import.meta.dirname, 'source.sql'), 'utf8');
  await inTransaction(session, 'read committed', async () => {
    await setSearchPath(session, ['public']);
    await session.query(
      `create temporary table demo_size on commit drop as
       select * from jsonb_to_record('${JSON.stringify({ ...size, seed: options.seed ?? 1 })}') as size
         (texts int, chunks int, tags int, chunk_tags int, chunk_embeddings int, graph_nodes int, seed bigint)`,
    );
    await session.query(sql);
  });
  return size;
}
