import { duplicateKeys, type OffendingKeys, orphanKeys } from '../catalog/offending-keys.ts';
import { display, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { CheckContext } from './check-context.ts';
import { excerpt } from './excerpt.ts';
import { countTarget } from './target-rows.ts';
import type { CheckOutcome, CheckSpec, FindingDetail } from './types.ts';

/** Offending keys that a finding lists. */
const listed = 10;

function details(keys: OffendingKeys, problem: FindingDetail['problem']): FindingDetail[] {
  return keys.rows.map((row) => ({
    key: Object.fromEntries(Object.entries(row).map(([name, value]) => [name, excerpt(value)])),
    problem,
  }));
}

/** How many driving rows of a table are in quarantine: what refers to them is an orphan for as long. */
const missingFrom = ({ plan, excluded = {} }: CheckContext, relation: RelationName): number =>
  plan.flows
    .filter(({ target }) => display(target) === display(relation))
    .map(({ name }) => excluded[name])
    .reduce((sum, rows) => sum + (rows === undefined ? 0 : rows.keys.length + rows.tids.length), 0);

const keysOf = (count: number): string => (count === 1 ? '1 key' : `${count} keys`);

/** Keys of a foreign key that the referenced table does not hold. The server proves it again as the key comes back. */
export async function checkOrphans(
  ctx: CheckContext,
  spec: Extract<CheckSpec, { check: 'orphans' }>,
): Promise<CheckOutcome> {
  const { relation, foreignKey, name } = spec;
  const orphans = await orphanKeys(ctx.target, relation, foreignKey, listed);
  const rows = await countTarget(ctx.target, relation);
  const evidence = { orphans: orphans.count };
  if (orphans.count === 0) return { rows, findings: [], evidence };
  const missing = missingFrom(ctx, foreignKey.references);
  const note =
    missing === 0
      ? ''
      : `, which has ${missing} ${missing === 1 ? 'row' : 'rows'} in quarantine or edited: these may be their children`;
  const summary = `${display(relation)}: foreign key ${name} does not find ${keysOf(orphans.count)} in ${display(foreignKey.references)}${note}`;
  return {
    rows,
    findings: [{ check: 'orphans', relation, summary, details: details(orphans, 'orphan') }],
    evidence,
  };
}

async function provenByIndex(
  target: Session,
  spec: Extract<CheckSpec, { check: 'duplicates' }>,
): Promise<boolean> {
  const { rowCount } = await target.query(
    `select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
     join pg_catalog.pg_class r on r.oid = i.indrelid join pg_catalog.pg_namespace n on n.oid = r.relnamespace
     where n.nspname = $1 and r.relname = $2 and c.relname = $3 and i.indisunique and i.indisvalid and i.indisready`,
    [spec.relation.schema, spec.relation.name, spec.name],
  );
  return rowCount === 1;
}

/** Keys that stand more than once; a unique index that has been built over the rows is proof enough. */
export async function checkDuplicates(
  ctx: CheckContext,
  spec: Extract<CheckSpec, { check: 'duplicates' }>,
): Promise<CheckOutcome> {
  const { relation, uniqueKey, name } = spec;
  if (await provenByIndex(ctx.target, spec)) return { rows: 0, findings: [], evidence: { provenByIndex: 1 } };
  const duplicates = await duplicateKeys(ctx.target, relation, uniqueKey, listed);
  const rows = await countTarget(ctx.target, relation);
  const evidence = { duplicates: duplicates.count };
  if (duplicates.count === 0) return { rows, findings: [], evidence };
  const are = duplicates.count === 1 ? 'is' : 'are';
  const summary = `${display(relation)}: ${keysOf(duplicates.count)} of ${name} ${are} there more than once`;
  return {
    rows,
    findings: [{ check: 'duplicates', relation, summary, details: details(duplicates, 'duplicate') }],
    evidence,
  };
}
