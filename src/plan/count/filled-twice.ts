import { readColumns } from '../../catalog/columns.ts';
import { ident } from '../../pg/quote.ts';
import { amount } from '../problems.ts';
import type { ResolveContext } from '../resolve/context.ts';
import type { FlowResult } from '../resolve/flow.ts';
import type { ResolvedColumn, ResolvedFlow } from '../resolved-plan.ts';
import { planQuery } from '../sql/query.ts';
import { lex, nameOf } from '../sql/text.ts';
import { fromClause, whereClause } from '../statements/select.ts';
import { type Counting, countedWithin } from './counting.ts';

/** Whether a text may read one of the columns, by name or as part of a whole row. */
function mayRead(text: string, filled: ReadonlySet<string>, alias: string): boolean {
  const { tokens } = lex(text);
  return tokens.some((token, i) => {
    if (token.kind !== 'word' && token.kind !== 'identifier') return false;
    const name = nameOf(token);
    const next = tokens[i + 1]?.text;
    const isRow = token.text === alias || (name !== undefined && ident(name) === alias);
    return name === undefined || filled.has(name) || (isRow && (next !== '.' || tokens[i + 2]?.text === '*'));
  });
}

const readsItself = ({ columns, join, alias }: ResolvedFlow): boolean => {
  const filled = new Set(columns.map(({ name }) => name));
  return [join, ...columns.map(({ expression }) => expression)].some((text) => mayRead(text, filled, alias));
};

const storedOf = ({ copyExpression, targetType }: ResolvedColumn): string =>
  `(${copyExpression}\n)::${targetType}`;

/** Counts of the rows that an update takes up once they are updated, and per column those that it would change again. */
function countTwice(flow: ResolvedFlow, driving: string[]): string {
  const { alias, columns } = flow;
  const values = driving.map((name) => {
    const column = columns.find((each) => each.name === name);
    return `${column ? storedOf(column) : `${alias}.${ident(name)}`} as ${ident(name)}`;
  });
  const once = `select ${values.join(', ')} ${fromClause(flow)} ${whereClause(flow)}`;
  const differs = columns.map(
    (column, i) =>
      `pg_catalog.count(*) filter (where ${storedOf(column)}::pg_catalog.text collate pg_catalog."C" is distinct from ${alias}.${ident(column.name)}::pg_catalog.text) as c${i + 1}`,
  );
  return `select pg_catalog.count(*) as c0, ${differs.join(', ')} from (${once}) as ${alias}\n${flow.join}\n${whereClause(flow)}`;
}

/**
 * Refuses in-place backfills that would change a row each time it is updated, as `n: a.n + 1` does: a reload would go on with it,
 * and nothing tells afterwards how often it was. Counted only where the plan's text does not rule it out.
 */
export async function checkFilledTwice(
  ctx: ResolveContext,
  counting: Counting,
  results: FlowResult[],
): Promise<void> {
  const updating = results.filter(({ flow }) => flow.backfill !== undefined && readsItself(flow));
  const driving = await readColumns(
    ctx.source.session,
    updating.map(({ flow }) => flow.driving.oid),
  );
  for (const { flow, path } of updating) {
    const stored = (driving.get(flow.driving.oid) ?? []).map(({ name }) => name);
    const sql = countTwice(flow, stored);
    const counted = await counting.count(`rows that ${flow.name} would change each time`, (session) =>
      planQuery<Record<string, string>>(session, sql),
    );
    if (counted.kind !== 'counted') {
      const why = counted.kind === 'late' ? `that takes more than ${countedWithin} s` : 'an expression fails';
      const message = `whether a second update would change its rows again was not counted: ${why}`;
      ctx.problems.warning(path, message, 'Make sure that what it fills is not made of itself.');
      continue;
    }
    const of = (i: number) => Number(counted.value.rows[0]![`c${i}`]);
    for (const [i, { name }] of flow.columns.entries())
      if (of(i + 1) > 0)
        ctx.problems.error(
          [...path, 'columns', name],
          `${name} is made of what the flow fills: a second update, as by a reload, would change ${amount(of(i + 1))} of ${amount(of(0))} rows again`,
          `Fill another column; or mark the rows that are done, in a column of the same flow: where: not ${flow.alias}.done, and done: 'true'.`,
        );
  }
}
