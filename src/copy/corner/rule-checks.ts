import type { Refusal } from '../../ledger/quarantine.ts';
import { ident } from '../../pg/quote.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import type { TargetRules } from './target-rules.ts';

/** Something that rows on the stage may be refused by: SQL that gives `tid`, `code` where it is not known before, and `behind` (`CorneredRow`). */
export interface SetCheck {
  sql: string;
  refusal: Pick<Refusal, 'column' | 'constraint'> & { code?: string };
}

/**
 * What rows may be refused by once their values are of the right types: NOT NULL, CHECK and unique keys.
 * @param stage where the rows are, as SQL: with `tid`, the text of a ctid that tells them apart, and c1…cn, the text of the rules' columns
 * @param table the target table, as SQL
 */
export function ruleChecks(
  { columns, checks, uniques }: TargetRules,
  stage: string,
  table: string,
): SetCheck[] {
  const rows = `(select s.tid, ${columns.map(({ name, type }, i) => `s.c${i + 1}::${type} as ${ident(name)}`).join(', ')} from ${stage} s offset 0) as r`;
  const equal = (key: string[]) => key.map((name) => `t.${ident(name)} = r.${ident(name)}`).join(' and ');
  return [
    ...columns.flatMap(({ name, notNull }, i): SetCheck[] =>
      notNull
        ? [
            {
              sql: `select s.tid from ${stage} s where s.c${i + 1} is null`,
              refusal: { code: sqlStates.notNullViolation, column: name },
            },
          ]
        : [],
    ),
    ...checks.map(
      ({ name, expression }): SetCheck => ({
        sql: `select tid from ${rows} where not (${expression})`,
        refusal: { code: sqlStates.checkViolation, constraint: name },
      }),
    ),
    ...uniques.map(
      ({ name, key }): SetCheck => ({
        sql: `select tid, case when not held then first end as behind from (
            select r.tid, pg_catalog.row_number() over same as nth, pg_catalog.first_value(r.tid) over same as first,
                   exists (select from ${table} as t where ${equal(key)}) as held
              from ${rows} where ${key.map((column) => `r.${ident(column)} is not null`).join(' and ')}
            window same as (partition by ${key.map((column) => `r.${ident(column)}`).join(', ')} order by r.tid::pg_catalog.tid)) as r
          where nth > 1 or held`,
        refusal: { code: sqlStates.uniqueViolation, constraint: name },
      }),
    ),
  ];
}
