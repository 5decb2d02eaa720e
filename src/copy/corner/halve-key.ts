import { RowfleetError } from '../../errors.ts';
import { safeMessage } from '../../pg/errors.ts';
import { classify } from '../../pg/failure-class.ts';
import { handOverValues } from '../../pg/hand-over.ts';
import type { Session } from '../../pg/session.ts';
import { underSavepoint } from '../../pg/transaction.ts';
import type { ResolvedFlow } from '../../plan/resolved-plan.ts';
import { planQuery } from '../../plan/sql/query.ts';
import { keyTerms, readKeyTypes, type UnitKey, unitFrame } from '../../plan/statements/key-units.ts';
import { type KeyRange, rangeConditions, selectRows } from '../../plan/statements/select.ts';

/** A range of units, with what all of its rows have of the key, first part first. */
export interface NarrowedRange extends KeyRange {
  known?: (string | null)[];
  /** The value that it was cut at last, as text. */
  cutAt?: string;
}

/** What lies in a narrowed range. `none`: no row by now. */
export type KeyHalves =
  | { kind: 'halves'; halves: [NarrowedRange, NarrowedRange] }
  | { kind: 'alone'; key: UnitKey }
  | { kind: 'none' };

interface Spread {
  rows: string;
  nulls: string;
  /** Whether all that is no NULL is equal. */
  same: boolean | null;
  /** As text: the least value, and where to cut: a value above it. */
  least: string | null;
  middle: string | null;
}

/** Cuts ranges of a flow that is cut by key between the values of its key, part by part, and never within a unit. */
export class KeyHalver {
  readonly #session: Session;
  readonly #flow: ResolvedFlow;
  #types: string[] | undefined;
  /** Handed over, for the conditions of all ranges that are open. */
  readonly #values: string[] = [];

  constructor(session: Session, flow: ResolvedFlow) {
    this.#session = session;
    this.#flow = flow;
  }

  /** How the values of a part of the key are spread over a range. */
  async #spread(sql: string, range: NarrowedRange): Promise<Spread> {
    const { alias } = this.#flow;
    const keys = selectRows(unitFrame(this.#flow), [`${sql} as k`], {
      conditions: rangeConditions(alias, range),
    });
    const { rows } = await planQuery<Spread>(
      this.#session,
      `with keys as materialized (${keys}), s as (
         select pg_catalog.count(*) as rows, pg_catalog.count(*) filter (where k is null) as nulls,
                pg_catalog.percentile_disc(array[0, 0.5, 1]::pg_catalog.float8[]) within group (order by k) as p from keys)
       select rows, nulls, p[1] = p[3] as same, p[1]::pg_catalog.text as least,
              case when p[2] > p[1] then p[2] else (select k from keys where k > p[1] order by k limit 1) end::pg_catalog.text as middle
         from s`,
    );
    return rows[0]!;
  }

  /** SQL of a value that is handed over. */
  async #value(text: string, type: string): Promise<string> {
    this.#values.push(text);
    const value = await handOverValues(this.#session, `halves ${this.#flow.name}`, this.#values);
    return `(select ${value(this.#values.length - 1)}::${type})`;
  }

  async #cut(range: NarrowedRange): Promise<KeyHalves> {
    this.#types ??= await readKeyTypes(this.#session, this.#flow);
    const terms = keyTerms(this.#flow);
    const known = [...(range.known ?? [])];
    for (const { name, sql } of terms.slice(known.length)) {
      const { rows, nulls, same, least, middle } = await this.#spread(sql, { ...range, known });
      if (Number(rows) === 0) return { kind: 'none' };
      const halves = (first: string, second: string, cutAt?: string): KeyHalves => {
        const { cutAt: _, conditions = [], ...rest } = range;
        const half = (condition: string) => ({
          ...{ ...rest, known, conditions: [...conditions, condition] },
          ...(cutAt === undefined ? {} : { cutAt }),
        });
        return { kind: 'halves', halves: [half(first), half(second)] };
      };
      if (nulls !== '0' && nulls !== rows) return halves(`${sql} is not null`, `${sql} is null`);
      if (nulls === '0' && !same) {
        // A value lies above the last bound; where it does not, its text is not all of it.
        if (range.cutAt === middle && range.known?.length === known.length)
          throw new RowfleetError('TEXT_DIFFERS', `values of ${name} are not what their text says`);
        const bound = await this.#value(middle!, this.#types[known.length]!);
        return halves(`${sql} < ${bound}`, `${sql} >= ${bound}`, middle!);
      }
      known.push(nulls === '0' ? least : null);
    }
    return { kind: 'alone', key: Object.fromEntries(terms.map(({ name }, i) => [name, known[i]!])) };
  }

  /**
   * Cuts a range that was refused in two, or tells the one unit that it holds. Throws UNITS_UNTOLD where the key of its rows
   * cannot be computed or put into an order.
   */
  async halve(range: NarrowedRange, refused: Error): Promise<KeyHalves> {
    const cannotTell = (error: unknown) => ['row', 'give up'].includes(classify(error, 'source'));
    const outcome = await underSavepoint(this.#session, cannotTell, () => this.#cut(range));
    if (outcome.kind === 'done') return outcome.value;
    const { name, backfill } = this.#flow;
    const what = backfill === undefined ? 'group' : 'row';
    const terms = keyTerms(this.#flow).map((term) => term.name);
    throw new RowfleetError(
      'UNITS_UNTOLD',
      `${name}: a ${what} is refused (${safeMessage(refused)}), and which one cannot be told by ${terms.join(', ')}: ${safeMessage(outcome.error)}`,
      {
        hint: `mend the rows in the source, or the expressions of flow ${name} and \`rowfleet revise\`; then \`rowfleet resume\``,
        cause: outcome.error,
      },
    );
  }
}
