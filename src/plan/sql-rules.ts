import { lex, type Token } from './sql-text.ts';

/** What keeps a text of the plan out of the place it is meant for. */
export interface TextFault {
  message: string;
  hint: string;
}

const clauses = new Set([
  'select', 'where', 'group', 'having', 'window', 'union', 'intersect', 'except', 'order', 'limit', 'offset', 'fetch',
  'for', 'into',
]); // biome-ignore format: one list

const fault = (message: string, hint: string): TextFault => ({ message, hint });

/** Faults that no SQL of a plan may have: it stays inside its place, is one piece and takes no parameters. */
function faultOfPiece(text: string): TextFault | undefined {
  const { tokens, fault: lexical } = lex(text);
  if (text.includes('\0')) return fault('it holds a NUL character', 'PostgreSQL has no text with NUL in it.');
  if (lexical)
    return fault(
      `${lexical.message} (character ${lexical.at + 1})`,
      'Each text of the plan must be a whole piece of SQL.',
    );
  if (tokens.length === 0) return fault('it is empty', 'Write SQL, or leave the key out.');
  if (tokens.some(({ kind, text: symbol, depth }) => kind === 'symbol' && symbol === ';' && depth === 0))
    return fault('it holds a semicolon', 'A plan holds expressions, not statements.');
  const parameter = tokens.find(({ kind }) => kind === 'parameter');
  if (parameter) return fault(`it holds the parameter ${parameter.text}`, 'Write the value itself.');
  return undefined;
}

const symbol = (token: Token | undefined, text: string) => token?.kind === 'symbol' && token.text === text;
const isWord = (token: Token | undefined, ...texts: string[]) =>
  token?.kind === 'word' && texts.includes(token.text);

/** Why `text` cannot be one expression of a select list; none when lexically it can. */
export function faultOfExpression(text: string): TextFault | undefined {
  const piece = faultOfPiece(text);
  if (piece) return piece;
  const { tokens } = lex(text);
  if (tokens.some((token) => token.depth === 0 && symbol(token, ',')))
    return fault('it is more than one expression', 'A column takes one: row(a, b) makes one of several.');
  if (isWord(tokens[0], 'select', 'with', 'values', 'table'))
    return fault('it is a query', 'Put parentheses around a subquery.');
  return undefined;
}

/** Why `text` cannot be a flow's condition; none when lexically it can. */
export function faultOfCondition(text: string): TextFault | undefined {
  const { tokens } = lex(text);
  if (isWord(tokens[0], 'where')) return fault('it begins with WHERE', 'Leave the word out.');
  return faultOfExpression(text);
}

/** Why `text` cannot follow the driving table in a FROM clause; none when lexically it can. */
export function faultOfJoin(text: string): TextFault | undefined {
  const piece = faultOfPiece(text);
  if (piece) return piece;
  const { tokens } = lex(text);
  for (const [i, token] of tokens.entries()) {
    if (token.depth > 0 || token.kind !== 'word' || symbol(tokens[i - 1], '.')) continue;
    if (clauses.has(token.text))
      return fault(
        `it goes past the FROM clause (${token.text.toUpperCase()})`,
        'Only joins may follow the driving table; a condition belongs in where, the rest in a subquery.',
      );
    if (isWord(token, 'right', 'full') && isWord(tokens[i + 1], 'join', 'outer'))
      return fault(
        `a ${token.text.toUpperCase()} JOIN adds rows that belong to no driving row`,
        'Make the other table the driving table of a flow of its own.',
      );
  }
  return undefined;
}

/** The literal that an expression is, as it stands: a string or NULL; none when it is anything else. */
export function bareLiteral(text: string): string | undefined {
  const { tokens } = lex(text);
  const [only] = tokens;
  if (tokens.length !== 1 || !only) return undefined;
  return only.kind === 'string' || isWord(only, 'null') ? only.text : undefined;
}

/** Functions whose value changes from one look to the next, so that the validator could never agree. */
const changing = new Set([
  'now', 'clock_timestamp', 'statement_timestamp', 'transaction_timestamp', 'timeofday', 'random', 'random_normal',
  'gen_random_uuid', 'uuidv4', 'uuidv7', 'uuid_generate_v1', 'uuid_generate_v4', 'txid_current', 'pg_backend_pid',
]); // biome-ignore format: one list
const changingWords = new Set([
  'current_date',
  'current_time',
  'current_timestamp',
  'localtime',
  'localtimestamp',
]);

/** The first thing in an expression that gives another value each time; none when there is none known. */
export function changingPart(text: string): string | undefined {
  const { tokens } = lex(text);
  const found = tokens.find(
    (token, i) =>
      token.kind === 'word' &&
      (changingWords.has(token.text) || (changing.has(token.text) && symbol(tokens[i + 1], '('))),
  );
  return found?.text;
}
