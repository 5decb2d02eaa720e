import type { PathSegment } from '../path.ts';
import type { ConflictSpec, FlowSpec, GroupingSpec, IdMapSpec, LookupSpec, OutputSpec } from '../plan.ts';
import type { Problems } from '../problems.ts';
import { parseDriving, parseName } from '../sql/names.ts';
import type { PlanDocument } from './definition.ts';
import { readTransform } from './transform.ts';

type FlowDocument = NonNullable<PlanDocument['flows']>[number];
type OutputDocument = NonNullable<FlowDocument['outputs']>[number] & Pick<FlowDocument, 'transform'>;
type ColumnDocument = NonNullable<FlowDocument['columns']>[string];
type LookupDocument = Extract<ColumnDocument, object>;

type Written = string | number;

const list = (value: Written | Written[] | undefined): string[] =>
  value === undefined ? [] : (Array.isArray(value) ? value : [value]).map(String);

/** Says what is wrong where it stands. The SQL of a flow is held to its place when the source is at hand: `sql/check-texts.ts`. */
class Reader {
  readonly #problems: Problems;

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  error(path: PathSegment[], message: string, hint?: string): void {
    this.#problems.error(path, message, hint);
  }

  driving(from: string, path: PathSegment[]): void {
    if (parseDriving(from)) return;
    const hint = 'For example: chunks c, or "My Table" as t. What it is joined with belongs under join.';
    this.error([...path, 'from'], 'is not one table and its alias', hint);
  }
}

function readGrouping(reader: Reader, flow: FlowDocument, path: PathSegment[]): GroupingSpec | undefined {
  const { group_by: groupBy, window_by: windowBy } = flow;
  if (groupBy !== undefined && windowBy !== undefined)
    reader.error([...path, 'window_by'], 'group_by and window_by are both given', 'Keep one of the two.');
  if (groupBy !== undefined) return { kind: 'group', by: list(groupBy) };
  if (windowBy !== undefined) return { kind: 'window', by: list(windowBy) };
  return undefined;
}

const ways = 'Write {id_map: customer, key: c.id}, or {lookup: country, by: {code: c.country}, take: id}.';

function readLookup(reader: Reader, column: LookupDocument, path: PathSegment[]): LookupSpec | undefined {
  const { id_map: idMap, key, lookup, by, take, missing } = column;
  const misplaced = (names: Record<string, unknown>): boolean => {
    const surplus = Object.keys(names).find((name) => names[name] !== undefined);
    if (surplus !== undefined) reader.error([...path, surplus], 'does not belong here', ways);
    return surplus !== undefined;
  };
  if (idMap !== undefined) {
    if (misplaced({ lookup, by, take, missing })) return undefined;
    if (key === undefined) reader.error(path, `key is missing: what is looked up in ${idMap}`, ways);
    return { idMap, key: list(key) };
  }
  if (misplaced({ key })) return undefined;
  if (lookup === undefined || by === undefined || take === undefined) {
    const lacks = lookup === undefined ? 'lookup' : by === undefined ? 'by' : 'take';
    reader.error(path, `${lacks} is missing`, ways);
    return undefined;
  }
  if (Object.keys(by).length === 0) reader.error([...path, 'by'], 'must name at least one column', ways);
  return { table: lookup, by, take, missing: missing === null ? 'null' : (missing ?? 'error') };
}

function readColumns(
  reader: Reader,
  columns: Record<string, ColumnDocument>,
  path: PathSegment[],
): OutputSpec['columns'] {
  const read: OutputSpec['columns'] = {};
  for (const [name, column] of Object.entries(columns)) {
    const at = [...path, 'columns', name];
    const value = typeof column === 'object' ? readLookup(reader, column, at) : String(column);
    if (value !== undefined) read[name] = value;
  }
  return read;
}

function readConflict(reader: Reader, output: OutputDocument, path: PathSegment[]): ConflictSpec | undefined {
  const { on_conflict: rule = 'error', conflict_key: key, order } = output;
  if (rule === 'error') {
    for (const name of ['conflict_key', 'order'] as const)
      if (output[name] !== undefined)
        reader.error(
          [...path, name],
          'means nothing without on_conflict',
          'Add on_conflict: skip, update or merge.',
        );
    return undefined;
  }
  if (order === undefined)
    reader.error(
      [...path, 'on_conflict'],
      `${rule} needs an order, or the result would depend on which batch came first`,
      'Add one, for example: order: c.updated_at desc',
    );
  return { rule, order: list(order), ...(key === undefined ? {} : { key }) };
}

/** The target table of an output as its flow's name has it: without its schema. */
const shortName = (to: string): string => parseName(to)?.name ?? to;

function readOutput(
  reader: Reader,
  output: OutputDocument,
  name: string,
  own: PathSegment[],
  path: PathSegment[],
): OutputSpec[] {
  const at = [...path, ...own];
  const { to, columns, where, transform } = output;
  if (to === undefined) reader.error(at, 'to is missing', 'Name the target table, or several under outputs.');
  if (columns === undefined) reader.error(at, 'columns is missing', 'Name a target column: SQL expression.');
  const conflict = readConflict(reader, output, at);
  if (to === undefined || columns === undefined) return [];
  return [
    {
      name,
      path: own,
      to,
      columns: readColumns(reader, columns, at),
      ...(own.length === 0 || where === undefined ? {} : { where }),
      ...(conflict && { conflict }),
      ...(transform === undefined ? {} : { transform: readTransform(transform) }),
    },
  ];
}

function readOutputs(reader: Reader, flow: FlowDocument, path: PathSegment[]): OutputSpec[] {
  const { outputs } = flow;
  if (outputs === undefined) return readOutput(reader, flow, flow.name, [], path);
  for (const key of ['to', 'columns', 'on_conflict', 'conflict_key', 'order', 'transform'] as const)
    if (flow[key] !== undefined)
      reader.error([...path, key], 'stands beside outputs', 'Put it into the output that it is meant for.');
  return outputs.flatMap((output, i) => {
    const name = output.name ?? `${flow.name}.${shortName(output.to ?? String(i + 1))}`;
    return readOutput(reader, output, name, ['outputs', i], path);
  });
}

function readFlow(reader: Reader, flow: FlowDocument, path: PathSegment[]): FlowSpec {
  reader.driving(flow.from, path);
  const { name, from, join, where, join_rows: joinRows = 'exact' } = flow;
  if (joinRows !== 'exact' && join === undefined)
    reader.error([...path, 'join_rows'], 'there is no join', 'Leave it out.');
  const grouping = readGrouping(reader, flow, path);
  return {
    ...{ name, from, joinRows },
    ...(join === undefined ? {} : { join }),
    ...(where === undefined ? {} : { where }),
    ...(grouping && { grouping }),
    outputs: readOutputs(reader, flow, path),
  };
}

/** The flows of a plan. Names are unique over all outputs. */
export function readFlows(document: PlanDocument, problems: Problems): FlowSpec[] {
  const reader = new Reader(problems);
  const flows = (document.flows ?? []).map((flow, i) => readFlow(reader, flow, ['flows', i]));
  const names = new Set<string>();
  for (const [i, { name, outputs }] of flows.entries()) {
    for (const output of outputs.length > 0 ? outputs : [{ name, path: [] }]) {
      if (names.has(output.name))
        problems.error(
          ['flows', i, ...output.path, 'name'],
          `the flow ${output.name} stands in the plan twice`,
          'Flow names are unique.',
        );
      names.add(output.name);
    }
  }
  return flows;
}

/** The id maps of a plan. */
export function readIdMaps(document: PlanDocument, problems: Problems): IdMapSpec[] {
  const reader = new Reader(problems);
  return Object.entries(document.id_maps ?? {}).map(([name, map]) => {
    const path = ['id_maps', name];
    reader.driving(map.from, path);
    return {
      name,
      from: map.from,
      key: list(map.key),
      new: map.new,
      ...(map.where === undefined ? {} : { where: map.where }),
    };
  });
}
