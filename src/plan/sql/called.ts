import type { FunctionFacts } from '../../catalog/functions.ts';
import type { Call } from './facts.ts';
import { faultAt, type TextFault } from './piece.ts';
import { changes, faultOfAggregate, type Judgement, type Surroundings } from './rules.ts';

/** Stable functions of pg_catalog that tell the time, the transaction or the session: each look finds another. */
const changing = new Set([
  'now', 'statement_timestamp', 'transaction_timestamp', 'txid_current', 'txid_current_if_assigned',
  'txid_current_snapshot', 'pg_current_xact_id', 'pg_current_xact_id_if_assigned', 'pg_current_snapshot',
  'pg_backend_pid', 'pg_my_temp_schema', 'inet_client_port',
]); // biome-ignore format: one list

/** Aggregates whose value has the rows in their order. */
const keepsOrder = /^(array_agg|string_agg|xmlagg|jsonb?_agg(_strict)?|json_arrayagg)$/;

/** The functions that a call may mean: those of its name that take its number of arguments, along the search_path. */
export function candidatesOf(call: Call, all: FunctionFacts[], searchPath: string[]): FunctionFacts[] {
  const name = call.parts.at(-1)!;
  const schemas = call.parts.length > 1 ? [call.parts.at(-2)!] : ['pg_catalog', ...searchPath];
  return all.filter(
    (each) =>
      each.name === name &&
      schemas.includes(each.schema) &&
      call.args >= each.least &&
      (each.most === null || call.args <= each.most),
  );
}

function faultOfVolatility(
  call: Call,
  candidates: FunctionFacts[],
  { place }: Surroundings,
): TextFault | undefined {
  const [first] = candidates;
  const what = `${call.parts.at(-1)}()`;
  if (!first) return undefined;
  if (candidates.every(({ volatility }) => volatility === 'v')) {
    const own = first.schema === 'pg_catalog' ? undefined : first.signature;
    const hint =
      own &&
      `It is volatile. If it gives the same for a row every time, say so: alter function ${own} stable;`;
    return changes(what, place, call.character, hint);
  }
  const ofServer = candidates.every(({ schema }) => schema === 'pg_catalog');
  // age(x) is the age today.
  const tellsTime = changing.has(first.name) || (first.name === 'age' && call.args === 1);
  // age(xid), of one argument too, is no help to anyone.
  return ofServer && tellsTime ? changes(what, place, call.character) : undefined;
}

/** What the source's catalog shows to be wrong with a call. */
export function judgeCall(call: Call, candidates: FunctionFacts[], around: Surroundings): Judgement {
  const errors: (TextFault | undefined)[] = [faultOfVolatility(call, candidates, around)];
  const all = (is: (each: FunctionFacts) => boolean) => candidates.length > 0 && candidates.every(is);
  const aggregates = call.form !== 'window' && all(({ kind }) => kind === 'a');
  const seesRows = call.depth === 0 && around.place !== 'join';
  if (seesRows && aggregates && call.form === 'plain') errors.push(faultOfAggregate(call, around));
  if (seesRows && !call.inFrom && all(({ returnsSet }) => returnsSet))
    errors.push(
      faultAt(
        'it may give several rows',
        'Put the function under join: cross join lateral f(…) as x.',
        call.character,
      ),
    );
  const unordered = aggregates && call.unordered && keepsOrder.test(call.parts.at(-1)!);
  const warning = faultAt(
    `${call.parts.at(-1)} takes rows in the server’s order, which may be another when the validator looks`,
    'Say which: …_agg(x order by y).',
    call.character,
  );
  return {
    errors: errors.filter((fault) => fault !== undefined),
    warnings: unordered && (call.depth > 0 || around.grouping?.kind === 'group') ? [warning] : [],
  };
}
