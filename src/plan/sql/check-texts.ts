import { type FunctionFacts, readFunctions } from '../../catalog/functions.ts';
import type { PathSegment } from '../path.ts';
import type { ResolveContext } from '../resolve/context.ts';
import { candidatesOf, judgeCall } from './called.ts';
import { type Facts, factsOf } from './facts.ts';
import { isFault, type Piece, type Place, parsePiece, type TextFault } from './piece.ts';
import { type Grouping, type Judgement, judgeFacts, type Surroundings } from './rules.ts';
import { shapeOf } from './walk.ts';

/** A text of the plan, and where it stands. */
export interface PlanText {
  place: Place;
  text: string;
  path: PathSegment[];
}

/** A text that may be sent to the source: parsed, with nothing wrong in it. */
export interface SoundText extends PlanText {
  piece: Piece;
  facts: Facts;
}

async function shapesOf(grouping: Grouping | undefined): Promise<string[]> {
  const pieces = await Promise.all((grouping?.by ?? []).map((text) => parsePiece('key', text)));
  return pieces.map((piece) => (isFault(piece) ? '' : shapeOf(piece.tree[0])));
}

async function parseAll(ctx: ResolveContext, texts: PlanText[]): Promise<(SoundText | undefined)[]> {
  const parsed: (SoundText | undefined)[] = [];
  for (const text of texts) {
    const piece = await parsePiece(text.place, text.text);
    if (isFault(piece)) ctx.problems.error(text.path, piece.message, piece.hint);
    parsed.push(isFault(piece) ? undefined : { ...text, piece, facts: factsOf(piece) });
  }
  return parsed;
}

function judge(
  { facts }: SoundText,
  functions: FunctionFacts[],
  searchPath: string[],
  around: Surroundings,
): Judgement {
  const all = [
    judgeFacts(facts, around),
    ...facts.calls.map((call) => judgeCall(call, candidatesOf(call, functions, searchPath), around)),
  ];
  return {
    errors: all.flatMap(({ errors }) => errors),
    warnings: all.flatMap(({ warnings }) => warnings),
  };
}

/**
 * Holds texts of one flow against PostgreSQL's grammar, and the functions that they call against the source's catalog. What is
 * wrong is reported, and such a text left out: the answer has one item for each text, in their order. Nothing is
 * sent to the source but the functions' names.
 */
export async function checkTexts(
  ctx: ResolveContext,
  texts: PlanText[],
  grouping?: Grouping,
): Promise<(SoundText | undefined)[]> {
  const { session, searchPath } = ctx.source;
  const parsed = await parseAll(ctx, texts);
  const names = parsed.flatMap((each) => each?.facts.calls.map(({ parts }) => parts.at(-1)!) ?? []);
  const functions = await readFunctions(session, [...new Set(names)]);
  const shapes = await shapesOf(grouping);
  return parsed.map((each) => {
    if (!each) return undefined;
    const { errors, warnings } = judge(each, functions, searchPath, { place: each.place, grouping, shapes });
    const report = (add: 'error' | 'warning', faults: TextFault[]) => {
      for (const { message, hint } of faults) ctx.problems[add](each.path, message, hint);
    };
    report('error', errors);
    report('warning', warnings);
    return errors.length > 0 ? undefined : each;
  });
}
