import { nearest } from '../../nearest.ts';
import { writeName } from '../sql/names.ts';
import { factsOf, keyOf, whatItIs } from './facts.ts';
import { aligned, comment, type Entry, visible } from './lines.ts';
import type { Matches } from './match-tables.ts';
import type { Survey, SurveyedTable } from './survey.ts';

const commentedList = (title: string, entries: Entry[]): string[] =>
  entries.length === 0 ? [] : [...comment(title), ...aligned(entries), ''];

const commented = ({ side }: Survey, { relation }: SurveyedTable, notes: string[]): Entry => ({
  text: `#   ${visible(writeName(relation, side.searchPath))}`,
  notes,
});

/** What is no table of its own, as a comment. */
export function leftOut({ side, others }: Survey): string[] {
  const entries = others.map((relation) => ({
    text: `#   ${visible(writeName(relation, side.searchPath))}`,
    notes: [whatItIs(relation)],
  }));
  return commentedList('Left out:', entries);
}

const noColumns = 'a table that has no column in common with it';

/** The table whose name is nearest, where it is another one. */
function nearestOf({ relation }: SurveyedTable, candidates: SurveyedTable[]): string[] {
  const names = candidates.map((each) => each.relation.name);
  const near = nearest(relation.name, names);
  return near === undefined || near === relation.name ? [] : [`near: ${near}`];
}

/** Tables that only one of the databases has, as comments: nothing is lost, or left empty, without a word. */
export function unmatchedSections(
  source: Survey,
  target: Survey,
  { sourceOnly, targetOnly }: Matches,
): string[] {
  const lost = sourceOnly.map((table) => {
    const there = target.side.relations.find(table.relation);
    const why =
      there && (targetOnly.some(({ relation }) => relation === there) ? noColumns : whatItIs(there));
    const near = nearestOf(table, targetOnly);
    return commented(source, table, [
      ...factsOf(source, table),
      ...(why === undefined ? near : [`in the target: ${why}`]),
    ]);
  });
  const unfilled = targetOnly.map((table) => {
    const there = sourceOnly.some(({ relation }) => relation.name === table.relation.name);
    const why = there ? `in the source: ${noColumns}` : 'the source has no table of that name';
    return commented(target, table, [why, ...nearestOf(table, sourceOnly), keyOf(table)]);
  });
  return [
    ...commentedList('Only in the source, not copied:', lost),
    ...commentedList('Only in the target, nothing fills them:', unfilled),
  ];
}
