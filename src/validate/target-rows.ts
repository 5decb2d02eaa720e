import { qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';

/** `from …` of what COPY puts into a target table: its partitions' rows too, but never those of inheriting tables. */
export async function fromTarget(target: Session, relation: RelationName): Promise<string> {
  const { rows } = await target.query<{ partitioned: boolean }>(
    `select relkind = 'p' as partitioned from pg_catalog.pg_class where oid = $1::pg_catalog.regclass`,
    [qualified(relation)],
  );
  return `from ${rows[0]?.partitioned ? '' : 'only '}${qualified(relation)} as t`;
}

/** How many rows a target table holds. */
export async function countTarget(target: Session, relation: RelationName): Promise<number> {
  const { rows } = await target.query<{ n: string }>(
    `select pg_catalog.count(*) as n ${await fromTarget(target, relation)}`,
  );
  return Number(rows[0]!.n);
}
