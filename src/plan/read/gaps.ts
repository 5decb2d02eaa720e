import type { PathSegment } from '../path.ts';

/** A place of a plan that someone must still decide about. */
export interface Gap {
  path: PathSegment[];
  message: string;
  hint: string;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function gapsOf(holder: unknown, path: PathSegment[]): Gap[] {
  if (!isObject(holder) || !isObject(holder.columns)) return [];
  const { columns } = holder;
  return Object.entries(columns).flatMap(([name, value]) => {
    if (!isObject(value) || !('decide' in value)) return [];
    // Something that is in order, so that only the gap itself is reported.
    columns[name] = 'null';
    return [
      {
        path: [...path, 'columns', name],
        message: `is still to be decided: ${String(value.decide)}`,
        hint: 'Write an SQL expression over the source in place of the mapping with decide.',
      },
    ];
  });
}

/**
 * Finds every column whose place holds `{decide: what}` instead of an expression, as generated plans do, and makes it
 * whole in the document.
 */
export function takeOutGaps(document: unknown): Gap[] {
  const flows = isObject(document) && Array.isArray(document.flows) ? document.flows : [];
  return flows.flatMap((flow, i) => {
    const outputs = isObject(flow) && Array.isArray(flow.outputs) ? flow.outputs : [];
    const path: PathSegment[] = ['flows', i];
    return [
      ...gapsOf(flow, path),
      ...outputs.flatMap((output, j) => gapsOf(output, [...path, 'outputs', j])),
    ];
  });
}
