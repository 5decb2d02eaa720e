import type { JoinExpr, Node, RangeVar, SelectStmt } from 'libpg-query';
import { characters, parseSql, type SyntaxFault } from './grammar.ts';
import { lex } from './text.ts';
import { locationOf } from './walk.ts';

/** Where a text of the plan stands; each takes one piece of SQL. */
export type Place =
  /** The expression of a target column. */
  | 'column'
  /** Any other expression: a key, what rows are grouped by. */
  | 'key'
  /** An item of ORDER BY. */
  | 'order'
  | 'where'
  /** What follows the driving table in a FROM clause. */
  | 'join';

/** A text of the plan that stays in its place, parsed. */
export interface Piece {
  place: Place;
  text: string;
  /** One expression; for `order` one SortBy; for `join` the items of FROM, the driving table's stand-in first in them. */
  tree: Node[];
  /** The character of the text, from 1, at a location of the tree. */
  character: (location: number | undefined) => number;
}

/** What keeps a text of the plan out of the place it is meant for, or makes it worth a warning. */
export interface TextFault {
  message: string;
  hint: string;
}

/** The alias under which a join finds the driving table's stand-in: its other names are the plan's own business. */
export const standIn = 'rowfleet_driving';

const prefixes: Record<Place, string> = {
  column: 'select ',
  key: 'select ',
  where: 'select ',
  order: 'select order by ',
  join: `select 1 from ${standIn} as ${standIn}\n`,
};

const one: Record<Place, string> = {
  column: 'A column takes one expression: row(a, b) makes one of several.',
  key: 'Write a list: [a, b].',
  order: 'Write a list: [a, b desc].',
  where: 'Combine conditions with and, or.',
  join: 'Only joins may follow the driving table; a condition belongs in where, the rest in a subquery.',
};

export const faultAt = (message: string, hint: string, character: number): TextFault => ({
  message: `${message} (character ${character})`,
  hint,
});

/** The clauses of a SELECT that reach past a text's place, with the words that may begin them. */
const clauses: [key: keyof SelectStmt, ...words: string[]][] = [
  ['distinctClause', 'distinct'],
  ['intoClause', 'into'],
  ['fromClause', 'from'],
  ['whereClause', 'where'],
  ['groupClause', 'group'],
  ['havingClause', 'having'],
  ['windowClause', 'window'],
  ['sortClause', 'order'],
  ['limitOffset', 'offset'],
  ['limitCount', 'limit', 'fetch'],
  ['lockingClause', 'for'],
];

const seesBatch = 'It would see one batch at a time: choose the rows with where.';
const hints: Record<string, string> = {
  distinct: 'It would see one batch at a time: group_by makes one row of several.',
  limit: seesBatch,
  fetch: seesBatch,
  offset: seesBatch,
};

/** The character, from 1, of the first of the words that stands in a text outside of parentheses. */
function placeOf(text: string, words: string[]): { word: string; character: number } {
  const { tokens } = lex(text);
  const found = tokens.find(
    ({ kind, depth, text: word }, i) =>
      kind === 'word' && depth === 0 && words.includes(word) && tokens[i - 1]?.text !== '.',
  );
  return { word: found?.text ?? words[0]!, character: characters(text.slice(0, found?.at ?? 0)) + 1 };
}

const ownClause: Partial<Record<Place, keyof SelectStmt>> = { join: 'fromClause', order: 'sortClause' };

/** The words of the first clause that is not the place's own. */
function wordsBeyond(select: SelectStmt, place: Place): string[] | undefined {
  if (select.op !== undefined && select.op !== 'SETOP_NONE') return ['union', 'intersect', 'except'];
  const clause = clauses.find(([key]) => key !== ownClause[place] && select[key] !== undefined);
  return clause?.slice(1);
}

function faultOfClauses(select: SelectStmt, place: Place, text: string): TextFault | undefined {
  const words = wordsBeyond(select, place);
  if (!words) return undefined;
  const { word, character } = placeOf(text, words);
  if (word === 'where' && place === 'where') return faultAt('it begins with WHERE', 'Leave the word out.', 1);
  return faultAt(`it goes past its place (${word.toUpperCase()})`, hints[word] ?? one[place], character);
}

/** The joins that the driving table stands in, outermost first; none when the text took hold of the table itself. */
function joinsOf(first: Node | undefined): JoinExpr[] | undefined {
  const joins: JoinExpr[] = [];
  let node = first;
  while (node && 'JoinExpr' in node) {
    joins.push(node.JoinExpr);
    node = node.JoinExpr.larg;
  }
  const driving: RangeVar | undefined = node && 'RangeVar' in node ? node.RangeVar : undefined;
  return driving?.relname === standIn && driving.alias?.colnames === undefined ? joins : undefined;
}

function faultOfJoin(from: Node[], text: string): TextFault | undefined {
  const joins = joinsOf(from[0]);
  if (!joins)
    return faultAt('it changes how the driving table is read', 'It begins with a join, or with a comma.', 1);
  const outer = joins.find(({ jointype }) => jointype === 'JOIN_RIGHT' || jointype === 'JOIN_FULL');
  if (!outer) return undefined;
  const { word, character } = placeOf(text, [outer.jointype!.replace('JOIN_', '').toLowerCase()]);
  return faultAt(
    `a ${word.toUpperCase()} JOIN adds rows that belong to no driving row`,
    'Make the other table the driving table of a flow of its own.',
    character,
  );
}

/** `before` counts from the start of the text. */
function syntaxFault({ message, before }: SyntaxFault, text: string): TextFault {
  const at = Math.min(Math.max(before, 0), characters(text.trimEnd())) + 1;
  const hint = 'Each text of the plan must be a whole piece of SQL by itself.';
  // The line break that ends each text is ours.
  const said = message.replace(/\n"$/, '"');
  return faultAt(said.startsWith('it ') ? said : `PostgreSQL says: ${said}`, hint, at);
}

async function parseAfter(prefix: string, rest: string) {
  const parsed = await parseSql(`${prefix}${rest}`);
  if (!parsed.fault) return parsed;
  return { fault: { ...parsed.fault, before: parsed.fault.before - characters(prefix) } };
}

function newPiece(place: Place, text: string, tree: Node[]): Piece {
  const bytes = Buffer.from(text);
  const prefix = Buffer.byteLength(prefixes[place]);
  const character = (location = 0) =>
    characters(bytes.subarray(0, Math.max(location - prefix, 0)).toString()) + 1;
  return { place, text, tree, character };
}

/** The one item that a text is; `enclosed` is what is wrong with it between parentheses. */
function onlyItem(place: Place, text: string, items: Node[], enclosed?: SyntaxFault): Node | TextFault {
  const [item, next] = items;
  if (!item) return { message: 'it is empty', hint: 'Write SQL, or leave the key out.' };
  if (next) {
    const second = newPiece(place, text, []).character(locationOf(next));
    return faultAt('it is more than one expression', one[place], second);
  }
  if (!('ResTarget' in item)) return item;
  if (item.ResTarget.name !== undefined)
    return faultAt(
      'it gives itself a name',
      'Leave AS out: the key before it is the name.',
      (enclosed?.before ?? 0) + 1,
    );
  return enclosed ? syntaxFault(enclosed, text) : item.ResTarget.val!;
}

/**
 * Parses a text of the plan in its place. It must be a whole piece by itself, which no unbalanced parenthesis or
 * comment is, and an expression between parentheses too: then nothing of it reaches what stands around it.
 */
export async function parsePiece(place: Place, text: string): Promise<Piece | TextFault> {
  const parsed = await parseAfter(prefixes[place], `${text}\n`);
  if (parsed.fault) {
    if (place !== 'join' && /^\s*(select|with|values|table)\b/i.test(text))
      return faultAt('it is a query', 'Put parentheses around a subquery.', 1);
    return syntaxFault(parsed.fault, text);
  }
  const [{ stmt, stmt_len: length } = {}] = parsed.statements;
  const piece = newPiece(place, text, []);
  // Only a statement that a semicolon ends has a length.
  if (length !== undefined)
    return faultAt(
      'it holds a semicolon',
      'A plan holds expressions, not statements.',
      piece.character(length),
    );
  const { SelectStmt: select } = stmt as { SelectStmt: SelectStmt };
  const beyond = faultOfClauses(select, place, text);
  if (beyond) return beyond;
  if (place === 'join') {
    const tree = select.fromClause!;
    return faultOfJoin(tree, text) ?? { ...piece, tree };
  }
  const enclosed = place === 'order' ? undefined : (await parseAfter('select (', `${text}\n)`)).fault;
  const item = onlyItem(
    place,
    text,
    (place === 'order' ? select.sortClause : select.targetList) ?? [],
    enclosed,
  );
  return 'hint' in item ? (item as TextFault) : { ...piece, tree: [item] };
}

/** Whether a text was refused. */
export const isFault = (result: Piece | TextFault): result is TextFault => 'hint' in result;
