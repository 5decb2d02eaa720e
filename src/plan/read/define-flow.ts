import { z } from 'zod';
import { expressions, name, text, whole } from './define-values.ts';

const column = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.strictObject({
    id_map: text.optional().describe('The id map that gives the new id.'),
    key: expressions.optional().describe('The old key, as the map has it: an expression, or a list of them.'),
    lookup: text.optional().describe('A table of the target to look in.'),
    by: z
      .record(text, z.string())
      .optional()
      .describe('Its column: SQL expression over the source that it must equal.'),
    take: text.optional().describe('Its column whose value is taken.'),
    missing: z
      .enum(['error', 'null'])
      .nullable()
      .optional()
      .describe('What a key gives that is not there. Defaults to error: the row is refused.'),
  }),
]);

const columns = z
  .record(text, column)
  .refine((all) => Object.keys(all).length > 0, 'must name at least one column')
  .describe('Target column: SQL expression over the source, or where its value is looked up.');

/** What one output of a flow consists of. */
const output = {
  to: text.optional().describe('The target table. It exists, or schema creates it.'),
  where: text.optional().describe('Which rows of the driving table count, as an SQL condition.'),
  columns: columns.optional(),
  on_conflict: z
    .enum(['error', 'skip', 'update', 'merge'])
    .optional()
    .describe(
      'Of rows with one conflict_key: error: refused; skip: the first in the order stays; update: the last one does; merge: each column takes its first value that is not null. Defaults to error.',
    ),
  conflict_key: z
    .array(text)
    .min(1)
    .optional()
    .describe('Target columns that tell what on_conflict is about. Defaults to the key of the table.'),
  order: expressions
    .optional()
    .describe('Expressions as in ORDER BY, with desc and nulls last: what on_conflict goes by.'),
};

const transform = z
  .union([
    text,
    z.strictObject({
      file: text.describe(
        'transforms/chunk.ts, or transforms/chunk.ts#name for another export than the default.',
      ),
      chunk: whole(1, 100_000)
        .optional()
        .describe(
          'The function takes an array of so many rows, fewer at the end, and returns one as long. Defaults to a row.',
        ),
      calls_per_second: z
        .number()
        .min(0.001)
        .max(100_000)
        .optional()
        .describe('Calls of the function a second in each loader, evenly spaced. No limit by default.'),
      constants: z
        .record(text, z.json())
        .optional()
        .describe('What the function finds as constants in its second argument.'),
      returns: z
        .array(text)
        .min(1)
        .optional()
        .describe('Target columns that the function fills. Defaults to all but generated ones.'),
    }),
  ])
  .optional()
  .describe(
    'A function in TypeScript or JavaScript below the folder of this file, which columns are the input of.',
  );

/** An item of `flows:`. */
export const flow = z
  .strictObject({
    name: name.describe('What status and findings call it. Unique in the plan.'),
    from: text.describe('The driving table and its alias, e.g. chunks c. Batches are ranges of it.'),
    join: text.optional().describe('Anything legal after the driving table in a FROM clause.'),
    join_rows: z
      .enum(['exact', 'may_lose', 'may_multiply', 'any'])
      .optional()
      .describe(
        'What the join may do to driving rows. Defaults to exact: one joined row for each, or none for a left join.',
      ),
    group_by: expressions
      .optional()
      .describe('An output row for each group of driving rows; columns may hold aggregates.'),
    window_by: expressions
      .optional()
      .describe('An output row for each driving row; columns may hold window functions over these groups.'),
    ...output,
    transform,
    outputs: z
      .array(
        z.strictObject({
          name: name.optional().describe('Defaults to the names of flow and table.'),
          ...output,
        }),
      )
      .min(1)
      .optional()
      .describe(
        'Several target tables that are filled in one read of the source, instead of to and columns.',
      ),
  })
  .describe('One mapping from a driving table to one target table or several.');

/** A value of `id_maps:`. */
export const idMap = z
  .strictObject({
    from: text.describe('The table whose keys are mapped, and its alias.'),
    where: text.optional().describe('Which of its rows, as an SQL condition.'),
    key: expressions.describe(
      'The old key: an expression over the table, or a list of them. Unique, never NULL.',
    ),
    new: z
      .enum(['uuid', 'sequence'])
      .describe('What a new id is: a random uuid, or the next whole number from 1.'),
  })
  .describe('A durable map from old keys to new ones, kept in the ledger after the run.');
