import { RowfleetError } from '../../errors.ts';
import { handed, handOver, handOverValues } from '../../pg/hand-over.ts';
import { ident } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import type { ResolvedFlow } from '../resolved-plan.ts';
import { planQuery } from '../sql/query.ts';
import { type Frame, type KeyRange, selectRows } from './select.ts';

/**
 * The smallest piece of a flow that is cut by key, by what it is called in the plan → its value as text: a whole group, or one
 * row that is updated in place.
 */
export type UnitKey = Record<string, string | null>;

/** One part of what tells units apart, over the driving rows. */
export interface KeyTerm {
  name: string;
  sql: string;
}

/** What tells the units of a flow apart that is cut by key. */
export function keyTerms({ alias, backfill, grouping }: ResolvedFlow): KeyTerm[] {
  if (backfill !== undefined) return backfill.key.map((name) => ({ name, sql: `${alias}.${ident(name)}` }));
  return (grouping?.by ?? []).map((name) => ({ name, sql: `(${name}\n)` }));
}

/** The rows that units are made of, without the where: it may fail on rows of a unit that is told by its key alone. */
export const unitFrame = ({ driving, only, alias, join }: ResolvedFlow): Frame => ({
  ...{ driving, only, alias, join, where: '' },
});

/** The types of a flow's key, as SQL that casts to them. */
export async function readKeyTypes(session: Session, flow: ResolvedFlow): Promise<string[]> {
  const list = keyTerms(flow).map(({ sql }, i) => {
    const one = selectRows(unitFrame(flow), [sql], { conditions: ['false'] });
    return `pg_catalog.format_type(pg_catalog.pg_typeof((${one}))::pg_catalog.oid, -1) as t${i}`;
  });
  const { rows } = await planQuery<Record<string, string>>(session, `select ${list.join(', ')}`);
  return list.map((_, i) => rows[0]![`t${i}`]!);
}

function valuesOf(flow: ResolvedFlow, key: UnitKey): (string | null)[] {
  return keyTerms(flow).map(({ name }) => {
    if (name in key) return key[name]!;
    throw new RowfleetError(
      'GROUP_UNKNOWN',
      `${flow.name}: a group that was set aside by ${Object.keys(key).join(', ')} cannot be found by ${name}, as the plan has it now`,
      { hint: 'revise the plan back to that grouping, or cancel the run and start anew' },
    );
  });
}

/** What driving rows of each of some units are, for the transaction that the session has open. */
async function unitConditions(
  session: Session,
  flow: ResolvedFlow,
  purpose: string,
  { keys, types }: { keys: (string | null)[][]; types: string[] },
): Promise<string[][]> {
  const value = await handOverValues(session, `${purpose} ${flow.name}`, keys.flat());
  return keys.map((key, n) =>
    keyTerms(flow).map(({ sql }, i) =>
      // A sub-select is computed once, not for each row.
      key[i] === null ? `${sql} is null` : `${sql} = (select ${value(n * types.length + i)}::${types[i]})`,
    ),
  );
}

/** The range of one unit, for the transaction that the session has open. Throws GROUP_UNKNOWN. */
export async function unitRange(session: Session, flow: ResolvedFlow, key: UnitKey): Promise<KeyRange> {
  const of = { keys: [valuesOf(flow, key)], types: await readKeyTypes(session, flow) };
  const [conditions] = await unitConditions(session, flow, 'unit', of);
  return { from: null, to: null, conditions: conditions! };
}

/** Conditions that leave units out, for the transaction that the session has open. Throws GROUP_UNKNOWN. */
export async function withoutUnits(
  session: Session,
  flow: ResolvedFlow,
  units: UnitKey[],
): Promise<string[]> {
  const terms = keyTerms(flow).map(({ sql }) => sql);
  const types = await readKeyTypes(session, flow);
  const keys = units.map((unit) => valuesOf(flow, unit));
  const from = await handOver(session, 'excluded', flow.name, keys);
  const fields = types.map((type, i) => `${handed(i)}::${type}`);
  // `in` is hashed, however many they are, and finds no NULL; of keys with one there are few.
  const lacking = { keys: keys.filter((key) => key.includes(null)), types };
  const others = await unitConditions(session, flow, 'excluded', lacking);
  return [
    `((${terms.join(', ')}) in (select ${fields.join(', ')} from ${from})) is not true`,
    ...others.map((conditions) => `(${conditions.join(' and ')}) is not true`),
  ];
}
