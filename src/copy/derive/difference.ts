import { RowfleetError } from '../../errors.ts';
import { sqlState } from '../../pg/errors.ts';
import { display, ident, qualified } from '../../pg/quote.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import { underSavepoint } from '../../pg/transaction.ts';
import { planQuery } from '../../plan/sql/query.ts';
import { refuseSpread } from './spread.ts';
import { type DeriveContext, names, stage, type Terms, vanished } from './terms.ts';

/** Columns that an UPDATE may set: an identity that is GENERATED ALWAYS takes no value. */
async function settable({ flow, target }: DeriveContext): Promise<string[]> {
  const { rows } = await target.query<{ name: string }>(
    `select attname::text as name from pg_catalog.pg_attribute
      where attrelid = $1::pg_catalog.regclass and attnum > 0 and attidentity <> 'a'`,
    [qualified(flow.target)],
  );
  const free = new Set(rows.map(({ name }) => name));
  return flow.columns.map(({ name }) => name).filter((name) => free.has(name));
}

type Step = 'update' | 'insert' | 'delete';

async function stepStatements(ctx: DeriveContext, terms: Terms): Promise<Record<Step, string | undefined>> {
  const { flow } = ctx;
  const set = (await settable(ctx)).map((name) => `${ident(name)} = s.${ident(name)}`).join(', ');
  return {
    update:
      set === ''
        ? undefined
        : `update ${terms.table} as t set ${set} from ${stage} s where ${terms.sameKey} and ${terms.differs}`,
    insert: `insert into ${qualified(flow.target)} (${names(flow)}) overriding system value
      select ${names(flow)} from ${stage} s where not exists (select from ${terms.table} as t where ${terms.sameKey})`,
    delete: `delete from ${terms.table} as t using ${vanished} v where t.tableoid = v.relation and t.ctid = v.place`,
  };
}

/** A row that goes holds what another is to have. */
const conflicts = new Set([sqlStates.uniqueViolation, sqlStates.exclusionViolation]);

/** Rows that go are referred to until the others are changed; so they go first only where that is refused. */
const deletesLast: Step[] = ['update', 'insert', 'delete'];
const deletesFirst: Step[] = ['delete', 'update', 'insert'];

async function take(ctx: DeriveContext, step: Step, statement: string | undefined): Promise<number> {
  ctx.signal.throwIfAborted();
  if (statement === undefined) return 0;
  if (step === 'delete') await refuseSpread(ctx.target, ctx.flow.target, ctx.down, vanished);
  return (await planQuery(ctx.target, statement)).rowCount ?? 0;
}

/** Updates what differs, inserts what is missing, and deletes the `gone` rows that vanished. Throws RELOAD_SPREADS. */
export async function applyDifference(
  ctx: DeriveContext,
  terms: Terms,
  gone: number,
): Promise<Record<Step, number>> {
  const statements = await stepStatements(ctx, terms);
  if (gone === 0) statements.delete = undefined;
  const takeAll = async (order: Step[]) => {
    const done: Record<Step, number> = { update: 0, insert: 0, delete: 0 };
    for (const step of order) done[step] = await take(ctx, step, statements[step]);
    return done;
  };
  if (gone === 0) return takeAll(deletesLast);
  const isConflict = (error: unknown) => conflicts.has(sqlState(error) ?? '');
  const outcome = await underSavepoint(ctx.target, isConflict, () => takeAll(deletesLast));
  return outcome.kind === 'done' ? outcome.value : takeAll(deletesFirst);
}

/** Throws ROWS_DIFFER unless what was derived stands in the target, to the byte, and what vanished is gone. */
export async function proveApplied(
  { flow, target }: DeriveContext,
  terms: Terms,
  notDeleted: number,
): Promise<void> {
  const { rows } = await target.query<{ n: string }>(
    `select pg_catalog.count(*) as n from ${stage} s
      where not exists (select from ${terms.table} as t where ${terms.sameKey} and not ${terms.differs})`,
  );
  const wrong = Number(rows[0]!.n) + notDeleted;
  if (wrong === 0) return;
  throw new RowfleetError(
    'ROWS_DIFFER',
    `${flow.name}: ${wrong} rows of ${display(flow.target)} are not what was written to them`,
    {
      hint: 'a rule, a trigger or an identity column of the target keeps other values: mend it, then resume',
    },
  );
}
