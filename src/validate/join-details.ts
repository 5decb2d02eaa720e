import { ident } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { planQuery } from '../plan/sql/query.ts';
import { selectRows } from '../plan/statements/select.ts';
import { excerpt } from './excerpt.ts';
import type { FindingDetail } from './types.ts';

/** Driving rows that a finding shows, of each kind. */
const shown = 10;

/** The first driving rows that a flow's join multiplies, and that it leaves out; none where they have no key. */
export async function findJoinDetails(source: Session, flow: ResolvedFlow): Promise<FindingDetail[]> {
  const { alias, drivingKey } = flow;
  if (drivingKey.length === 0) return [];
  const place = [`${alias}.tableoid`, `${alias}.ctid`];
  const keys = drivingKey.map((name) => `${alias}.${ident(name)}`);
  const list = keys.map((key, i) => `${key}::pg_catalog.text as k${i + 1}`);
  const multiplied = `${selectRows({ ...flow, grouping: { kind: 'group', by: [...place, ...keys] } }, list)} having pg_catalog.count(*) > 1`;
  const joined = selectRows({ ...flow, where: '' }, place);
  const unmatched = selectRows({ ...flow, join: '', where: '' }, list, {
    conditions: [`(${place.join(', ')}) not in (${joined})`],
  });
  const details: FindingDetail[] = [];
  for (const [problem, sql] of [
    ['multiplied', multiplied],
    ['unmatched', unmatched],
  ] as const) {
    const { rows } = await planQuery<Record<string, string>>(source, `${sql} limit ${shown}`);
    for (const row of rows) {
      const key = Object.fromEntries(drivingKey.map((name, i) => [name, excerpt(row[`k${i + 1}`] ?? null)]));
      details.push({ key, problem });
    }
  }
  return details;
}
