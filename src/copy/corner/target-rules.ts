import { qualified } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import type { ResolvedFlow } from '../../plan/resolved-plan.ts';

/** What a target table holds rows to, as far as the flow's own columns tell it. */
export interface TargetRules {
  /** In the flow's order; `type` is SQL, with typmod. */
  columns: { name: string; type: string; notNull: boolean }[];
  checks: { name: string; expression: string }[];
  /** Plain unique keys that stand. */
  uniques: { name: string; key: string[] }[];
  /** Whether the server can say what is wrong with a value without an exception: version 16. */
  readsInputErrors: boolean;
}

/** Reads the rules from the catalog. Constraints over columns that the flow leaves to their defaults are left out. */
export async function readTargetRules(target: Session, flow: ResolvedFlow): Promise<TargetRules> {
  const relation = [qualified(flow.target)];
  const { rows: attributes } = await target.query(
    `select attnum, attname::text as name, pg_catalog.format_type(atttypid, atttypmod) as type, attnotnull or typnotnull as "notNull"
       from pg_catalog.pg_attribute join pg_catalog.pg_type t on t.oid = atttypid where attrelid = $1::pg_catalog.regclass and attnum > 0 and not attisdropped`,
    relation,
  );
  const { rows: checks } = await target.query(
    `select conname::text as name, conkey::int[] as key, pg_catalog.pg_get_expr(conbin, conrelid) as expression
       from pg_catalog.pg_constraint where conrelid = $1::pg_catalog.regclass and contype = 'c' order by conname`,
    relation,
  );
  const { rows: uniques } = await target.query(
    `select c.relname::text as name, (i.indkey::int2[])[0:i.indnkeyatts - 1]::int[] as key
       from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
      where i.indrelid = $1::pg_catalog.regclass and i.indisunique and i.indisvalid and i.indexprs is null and i.indpred is null
      order by c.relname`,
    relation,
  );
  const { rows: version } = await target.query(
    `select pg_catalog.current_setting('server_version_num')::int as n`,
  );
  const byName = new Map(attributes.map((attribute) => [attribute.name, attribute]));
  const filled = new Map(flow.columns.map(({ name }) => [byName.get(name)!.attnum as number, name]));
  const covered = ({ key }: { key: number[] | null }) => (key ?? []).every((attnum) => filled.has(attnum));
  return {
    columns: flow.columns.map(({ name }) => {
      const { type, notNull } = byName.get(name)!;
      return { name, type, notNull };
    }),
    checks: checks.filter(covered).map(({ name, expression }) => ({ name, expression })),
    uniques: uniques
      .filter(covered)
      .map(({ name, key }) => ({ name, key: key.map((attnum: number) => filled.get(attnum)!) })),
    readsInputErrors: version[0].n >= 160_000,
  };
}
