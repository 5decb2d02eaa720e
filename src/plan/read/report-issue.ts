import { z } from 'zod';
import { nearest } from '../../nearest.ts';
import type { PathSegment } from '../path.ts';
import type { Problems } from '../problems.ts';
import { planDefinition } from './definition.ts';
import { quoteIt } from './yaml-document.ts';

/** Of several forms, the one that is a mapping stands last. */
function unwrapped(at: unknown): unknown {
  if (at instanceof z.ZodOptional) return unwrapped(at.unwrap());
  return at instanceof z.ZodUnion ? unwrapped(at.options.at(-1)) : at;
}

/** The keys that may stand where an unknown one was found. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let at: unknown = planDefinition;
  for (const segment of path) {
    if (typeof segment === 'number' && at instanceof z.ZodArray) at = unwrapped(at.element);
    else if (at instanceof z.ZodRecord) at = unwrapped(at.valueType);
    else if (at instanceof z.ZodObject) at = unwrapped(at.shape[segment as string]);
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

const kinds: Record<string, string> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
  boolean: 'true or false',
};

const isScalar = (value: unknown): boolean => /^(string|number|boolean)$/.test(typeof value);

/** `a, b or c`. */
const oneOf = (words: string[]): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

function describeIssue(issue: z.core.$ZodIssue): { message: string; hint?: string } {
  if (issue.code === 'invalid_type' && issue.input === undefined) return { message: 'is missing' };
  if (issue.message.startsWith('must')) return { message: issue.message };
  if (issue.code === 'invalid_key') return describeIssue(issue.issues[0]!);
  if (issue.code === 'invalid_type') {
    const message = `must be ${kinds[issue.expected] ?? issue.expected}`;
    const hint = issue.expected === 'array' && isScalar(issue.input) ? `Write [${issue.input}].` : undefined;
    return hint === undefined ? { message } : { message, hint };
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const near = typeof issue.input === 'string' ? nearest(issue.input, values) : undefined;
    const message = `must be ${oneOf(values)}`;
    return near === undefined ? { message } : { message, hint: `Did you mean ${near}?` };
  }
  if (issue.code === 'too_small') {
    const empty = issue.origin === 'string' || issue.origin === 'array';
    return { message: empty ? 'must not be empty' : `must be at least ${issue.minimum}` };
  }
  if (issue.code === 'too_big') return { message: `must be at most ${issue.maximum}` };
  return { message: issue.message };
}

const isMapping = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What may stand where several forms are allowed, by key. */
const forms: Record<string, string> = {
  source: 'text',
  tables: '"*" or a list of table names',
  schema: 'a file name or a list of file names',
  transform: 'a file name, or a mapping with file',
};
for (const key of ['group_by', 'window_by', 'order', 'key']) forms[key] = 'an expression or a list of them';

function reportUnknownKeys(keys: string[], input: unknown, path: PathSegment[], problems: Problems): void {
  const known = knownKeys(path);
  const isColumn = path.at(-2) === 'columns';
  // `{coalesce(a, b)}` and `{c.id}` are mappings to YAML, of keys that nobody meant.
  const meant = (key: string) => known.includes(key) || (key.length > 3 && nearest(key, known) !== undefined);
  if (isColumn && !Object.keys(input as object).some(meant)) {
    problems.error(path, 'must be text or a number, or {lookup: …} or {id_map: …}', quoteIt);
    return;
  }
  for (const key of keys) {
    const near = nearest(key, known);
    const hint = near === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean ${near}?`;
    problems.error([...path, key], `there is no key ${JSON.stringify(key)}`, hint);
  }
}

/** Adds what the definition found wrong in a document to the problems, in words. */
export function reportIssue(
  issue: z.core.$ZodIssue,
  problems: Problems,
  path: PathSegment[] = issue.path as PathSegment[],
): void {
  if (issue.code === 'unrecognized_keys') {
    reportUnknownKeys(issue.keys, issue.input, path, problems);
  } else if (issue.code === 'invalid_union') {
    // One form is a mapping with keys of its own, and a mapping was written: say what is wrong in it.
    const inside = isMapping(issue.input) ? issue.errors.at(-1) : undefined;
    if (
      inside !== undefined &&
      !inside.some(({ code, path }) => code === 'invalid_type' && path.length === 0)
    ) {
      for (const one of inside) reportIssue(one, problems, [...path, ...(one.path as PathSegment[])]);
      return;
    }
    if (issue.input === undefined) {
      problems.error(path, 'is missing');
      return;
    }
    const isMeasure = path.includes('throttle');
    const expected = isMeasure
      ? 'off, or a mapping with limit and at_most'
      : (forms[String(path.at(-1))] ?? 'text or a number');
    // What YAML took apart at a comma: `{id: coalesce(a, b)}` has a key `b)` without a value.
    problems.error(path, `must be ${expected}`, path.includes('columns') ? quoteIt : undefined);
  } else {
    const { message, hint } = describeIssue(issue);
    problems.error(path, message, hint);
  }
}
