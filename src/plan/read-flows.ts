import type { PlanDocument } from './definition.ts';
import { parseDriving, parseName } from './names.ts';
import type { Problems } from './problems.ts';
import {
  changingPart,
  faultOfCondition,
  faultOfExpression,
  faultOfJoin,
  type TextFault,
} from './sql-rules.ts';
import type { ConflictSpec, FlowSpec, GroupingSpec, IdMapSpec, LookupSpec, OutputSpec } from './types.ts';
import type { PathSegment } from './yaml-document.ts';

type FlowDocument = NonNullable<PlanDocument['flows']>[number];
type OutputDocument = NonNullable<FlowDocument['outputs']>[number];
type ColumnDocument = NonNullable<FlowDocument['columns']>[string];
type LookupDocument = Extract<ColumnDocument, object>;

const list = (value: string | string[] | undefined): string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

/** Holds each text of a flow to its place, and says what is wrong where it stands. */
class Reader {
  readonly #problems: Problems;

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  error(path: PathSegment[], message: string, hint?: string): void {
    this.#problems.error(path, message, hint);
  }

  #check(path: PathSegment[], fault: TextFault | undefined): void {
    if (fault) this.#problems.error(path, fault.message, fault.hint);
  }

  driving(from: string, path: PathSegment[]): void {
    if (parseDriving(from)) return;
    const hint = 'For example: chunks c, or "My Table" as t. What it is joined with belongs under join.';
    this.error([...path, 'from'], 'is not one table and its alias', hint);
  }

  join(text: string | undefined, path: PathSegment[]): void {
    if (text !== undefined) this.#check([...path, 'join'], faultOfJoin(text));
  }

  where(text: string | undefined, path: PathSegment[]): void {
    if (text !== undefined) this.#check([...path, 'where'], faultOfCondition(text));
  }

  expressions(written: string | string[] | undefined, path: PathSegment[]): string[] {
    const all = list(written);
    for (const [i, text] of all.entries())
      this.#check(typeof written === 'string' ? path : [...path, i], faultOfExpression(text));
    return all;
  }

  value(text: string, path: PathSegment[]): string {
    this.#check(path, faultOfExpression(text));
    const changing = changingPart(text);
    if (changing !== undefined)
      this.#problems.warning(
        path,
        `${changing} gives another value each time, so the validator will find every row different`,
        'Write the value itself, or let the target column have it as its default and leave it out.',
      );
    return text;
  }
}

function readGrouping(reader: Reader, flow: FlowDocument, path: PathSegment[]): GroupingSpec | undefined {
  const { group_by: groupBy, window_by: windowBy } = flow;
  if (groupBy !== undefined && windowBy !== undefined)
    reader.error([...path, 'window_by'], 'group_by and window_by are both given', 'Keep one of the two.');
  if (groupBy !== undefined) return { kind: 'group', by: reader.expressions(groupBy, [...path, 'group_by']) };
  if (windowBy !== undefined)
    return { kind: 'window', by: reader.expressions(windowBy, [...path, 'window_by']) };
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
    return { idMap, key: reader.expressions(key, [...path, 'key']) };
  }
  if (misplaced({ key })) return undefined;
  if (lookup === undefined || by === undefined || take === undefined) {
    const lacks = lookup === undefined ? 'lookup' : by === undefined ? 'by' : 'take';
    reader.error(path, `${lacks} is missing`, ways);
    return undefined;
  }
  if (Object.keys(by).length === 0) reader.error([...path, 'by'], 'must name at least one column', ways);
  for (const [name, text] of Object.entries(by)) reader.value(text, [...path, 'by', name]);
  return { table: lookup, by, take, missing: missing ?? 'error' };
}

function readColumns(
  reader: Reader,
  columns: Record<string, ColumnDocument>,
  path: PathSegment[],
): OutputSpec['columns'] {
  const read: OutputSpec['columns'] = {};
  for (const [name, column] of Object.entries(columns)) {
    const at = [...path, 'columns', name];
    const value =
      typeof column === 'object' ? readLookup(reader, column, at) : reader.value(String(column), at);
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
  const { to, columns, where } = output;
  if (to === undefined) reader.error(at, 'to is missing', 'Name the target table, or several under outputs.');
  if (columns === undefined) reader.error(at, 'columns is missing', 'Name a target column: SQL expression.');
  if (own.length > 0) reader.where(where, at);
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
    },
  ];
}

function readOutputs(reader: Reader, flow: FlowDocument, path: PathSegment[]): OutputSpec[] {
  const { outputs } = flow;
  if (outputs === undefined) return readOutput(reader, flow, flow.name, [], path);
  for (const key of ['to', 'columns', 'on_conflict', 'conflict_key', 'order'] as const)
    if (flow[key] !== undefined)
      reader.error([...path, key], 'stands beside outputs', 'Put it into the output that it is meant for.');
  return outputs.flatMap((output, i) => {
    const name = output.name ?? `${flow.name}.${shortName(output.to ?? String(i + 1))}`;
    return readOutput(reader, output, name, ['outputs', i], path);
  });
}

function readFlow(reader: Reader, flow: FlowDocument, path: PathSegment[]): FlowSpec {
  reader.driving(flow.from, path);
  reader.join(flow.join, path);
  reader.where(flow.where, path);
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

/** The flows of a plan, each text held to its place. Names are unique over all outputs. */
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
    reader.where(map.where, path);
    const key = reader.expressions(map.key, [...path, 'key']);
    return {
      name,
      from: map.from,
      key,
      new: map.new,
      ...(map.where === undefined ? {} : { where: map.where }),
    };
  });
}
