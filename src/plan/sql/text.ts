/** A lexical piece of SQL. Comments and blanks are left out. */
export interface Token {
  kind: 'word' | 'identifier' | 'string' | 'number' | 'parameter' | 'symbol';
  /** As it stands in the text; words folded as the server folds them. */
  text: string;
  /** Offset of its first character. */
  at: number;
  /** How many parentheses, brackets or braces are open around it. */
  depth: number;
}

/** Why a text is no whole piece of SQL, and where. */
export interface LexicalFault {
  message: string;
  at: number;
}

export interface Lexed {
  tokens: Token[];
  fault?: LexicalFault;
}

// The server's own lexer (standard_conforming_strings is on in every session). Sticky, so that each is tried in place.
const blank = /[ \t\n\r\f\v]+|--[^\n\r]*/y;
const escapeString = /[eE]'(?:[^'\\]|\\[\s\S]|'')*'/y;
const plainString = /(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'/y;
const quotedIdentifier = /(?:[uU]&)?"(?:[^"]|"")+"/y;
const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const parameter = /\$\d+/y;
const word = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
const number = /\d[\w.]*|\.\d\w*/y;
const stringStart = /(?:[bBeExXnN]|[uU]&)?'/y;

function take(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Block comments nest. Returns the offset behind the comment; none when it does not end. */
function afterComment(text: string, from: number): number | undefined {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith('/*', at)) {
      depth++;
      at++;
    } else if (text.startsWith('*/', at)) {
      depth--;
      at++;
      if (depth === 0) return at + 1;
    }
  }
  return undefined;
}

/** As the server folds unquoted names in UTF-8: ASCII letters only. */
const fold = (name: string): string => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

type Piece = Pick<Token, 'kind' | 'text'> | { fault: string };

function pieceAt(text: string, at: number): Piece {
  const string = take(escapeString, text, at) ?? take(plainString, text, at);
  if (string !== undefined) return { kind: 'string', text: string };
  if (take(stringStart, text, at) !== undefined) return { fault: 'a string is not closed' };
  const quoted = take(quotedIdentifier, text, at);
  if (quoted !== undefined) return { kind: 'identifier', text: quoted };
  if (text[at] === '"') return { fault: 'a quoted name is empty or not closed' };
  const tag = take(dollarTag, text, at);
  if (tag !== undefined) {
    const end = text.indexOf(tag, at + tag.length);
    return end < 0
      ? { fault: `the string that ${tag} opens is not closed` }
      : { kind: 'string', text: text.slice(at, end + tag.length) };
  }
  const placeholder = take(parameter, text, at);
  if (placeholder !== undefined) return { kind: 'parameter', text: placeholder };
  const name = take(word, text, at);
  if (name !== undefined) return { kind: 'word', text: fold(name) };
  return { ...numberOrSymbol(text, at) };
}

function numberOrSymbol(text: string, at: number): Pick<Token, 'kind' | 'text'> {
  const digits = take(number, text, at);
  return digits === undefined ? { kind: 'symbol', text: text[at]! } : { kind: 'number', text: digits };
}

const closes: Record<string, string> = { ')': '(', ']': '[', '}': '{' };

/** Takes SQL apart as the server does. Stops at the first thing that cannot stand in a whole piece of SQL. */
export function lex(text: string): Lexed {
  const tokens: Token[] = [];
  const open: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const skipped = take(blank, text, at);
    if (skipped !== undefined) {
      at += skipped.length;
      continue;
    }
    if (text.startsWith('/*', at)) {
      const end = afterComment(text, at);
      if (end === undefined) return { tokens, fault: { message: 'a comment is not closed', at } };
      at = end;
      continue;
    }
    const piece = pieceAt(text, at);
    if ('fault' in piece) return { tokens, fault: { message: piece.fault, at } };
    const token: Token = { ...piece, at, depth: open.length };
    if (token.kind === 'symbol' && '([{'.includes(token.text)) {
      open.push(token);
    } else if (token.kind === 'symbol' && token.text in closes) {
      if (open.pop()?.text !== closes[token.text])
        return { tokens, fault: { message: `${token.text} closes nothing`, at } };
      token.depth = open.length;
    }
    tokens.push(token);
    at += piece.text.length;
  }
  const left = open.at(-1);
  return left ? { tokens, fault: { message: `${left.text} is not closed`, at: left.at } } : { tokens };
}

/** The name that a word or a quoted identifier stands for; none for other tokens. */
export function nameOf(token: Pick<Token, 'kind' | 'text'> | undefined): string | undefined {
  if (token?.kind === 'word') return token.text;
  if (token?.kind === 'identifier' && token.text.startsWith('"'))
    return token.text.slice(1, -1).replaceAll('""', '"');
  return undefined;
}

/** The literal that an expression is, as it stands: a string or NULL; none when it is anything else. */
export function bareLiteral(text: string): string | undefined {
  const { tokens } = lex(text);
  const [only] = tokens;
  if (tokens.length !== 1 || !only) return undefined;
  return only.kind === 'string' || (only.kind === 'word' && only.text === 'null') ? only.text : undefined;
}

/** Whether an expression is made of literals alone, none of which is NULL. */
export const isConstant = (text: string): boolean =>
  lex(text).tokens.every(
    ({ kind, text: word }) => /^(string|number|symbol)$/.test(kind) || /^(true|false)$/.test(word),
  );
