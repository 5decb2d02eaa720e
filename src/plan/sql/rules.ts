import type { Call, Facts } from './facts.ts';
import { faultAt, type Place, type TextFault } from './piece.ts';

/** How the rows of a flow belong together: batches hold whole groups. */
export interface Grouping {
  /** `group`: one output row a group, `window`: one a driving row. */
  kind: 'group' | 'window';
  /** The expressions, as the plan has them. */
  by: string[];
}

/** What is wrong with a text, and what is only worth a warning. */
export interface Judgement {
  errors: TextFault[];
  warnings: TextFault[];
}

/** Where a text stands, and what its windows must name. */
export interface Surroundings {
  place: Place;
  grouping?: Grouping | undefined;
  /** The expressions of `window_by`, as `shapeOf` has them. */
  shapes?: string[] | undefined;
}

export const changes = (what: string, place: Place, character: number, hint?: string): TextFault =>
  faultAt(
    `${what} gives another value each time, so the validator could never agree`,
    hint ??
      (place === 'column'
        ? 'Write the value itself, or let the target column have it as its default and leave it out.'
        : 'Write the value itself.'),
    character,
  );

const atOnce = 'would see one batch at a time';

/** Why an aggregate that sees the flow's own rows may not stand there; none when it may. */
export function faultOfAggregate(call: Call, { place, grouping }: Surroundings): TextFault | undefined {
  if (place === 'column' && grouping?.kind === 'group') return undefined;
  const hint =
    grouping?.kind === 'window'
      ? `Give it a window: over (partition by ${grouping.by.join(', ')}).`
      : 'Declare group_by, or aggregate in a sub-select of its own: (select max(…) from …).';
  return faultAt(`${call.parts.at(-1)} is an aggregate, which ${atOnce}`, hint, call.character);
}

/** Why a window function that sees the flow's own rows may not stand there; none when it may. */
export function faultOfWindow(call: Call, around: Surroundings): TextFault | undefined {
  const { place, grouping, shapes = [] } = around;
  if (place !== 'column' || grouping?.kind !== 'window')
    return faultAt(
      `${call.parts.at(-1)} over (…) is a window function, which ${atOnce}`,
      'Declare window_by, or compute it in a sub-select over the whole table, under join.',
      call.character,
    );
  const lacking = grouping.by.filter((_, i) => !call.partition.includes(shapes[i]!));
  if (lacking.length === 0) return undefined;
  return faultAt(
    `its window reaches past its group: PARTITION BY lacks ${lacking.join(', ')}`,
    `Name all of window_by: over (partition by ${grouping.by.join(', ')} …).`,
    call.character,
  );
}

/** What the grammar alone shows to be wrong with a text. */
export function judgeFacts(facts: Facts, around: Surroundings): Judgement {
  const windows = facts.calls.filter(({ form, depth }) => form === 'window' && depth === 0);
  const aggregates = facts.calls.filter(({ form, depth }) => form === 'aggregate' && depth === 0);
  const readOnly = 'The source is only read: a text of the plan writes and locks nothing.';
  return {
    errors: [
      ...facts.parameters.map(({ text, character }) =>
        faultAt(`it holds the parameter ${text}`, 'Write the value itself.', character),
      ),
      ...facts.writes.map(({ what, character }) => faultAt(`it writes (${what})`, readOnly, character)),
      ...facts.moments.map(({ text, character }) => changes(text, around.place, character)),
      ...windows.map((call) => faultOfWindow(call, around)).filter((fault) => fault !== undefined),
      ...aggregates.map((call) => faultOfAggregate(call, around)).filter((fault) => fault !== undefined),
    ],
    warnings: facts.arbitrary.map(({ what, character }) =>
      faultAt(
        `${what} without ORDER BY takes rows of the server’s choice, which may be others when the validator looks`,
        'Add an ORDER BY that no two rows are equal in.',
        character,
      ),
    ),
  };
}
