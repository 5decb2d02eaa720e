import { lex, type Token } from './text.ts';

/** Why a DDL file cannot be run inside a transaction, and where. */
export interface FileFault {
  message: string;
  /** Offset in the text. */
  at: number;
}

const transactionWords = new Set([
  'begin',
  'start',
  'commit',
  'end',
  'rollback',
  'abort',
  'savepoint',
  'release',
  'prepare',
]);

// `prepare` and `start` also begin other statements; only these second words make them transaction control.
function isTransactionControl([first, second]: Token[]): boolean {
  if (first?.kind !== 'word' || !transactionWords.has(first.text)) return false;
  if (first.text === 'start' || first.text === 'prepare') return second?.text === 'transaction';
  return true;
}

/** Statements split at their semicolons; those inside BEGIN ATOMIC … END belong to the function. */
function statements(tokens: Token[]): Token[][] {
  const found: Token[][] = [[]];
  let body = 0;
  for (const [i, token] of tokens.entries()) {
    const current = found.at(-1)!;
    if (token.kind === 'word') {
      if (token.text === 'atomic' && tokens[i - 1]?.text === 'begin' && current[0]?.text === 'create') body++;
      else if (body > 0 && token.text === 'case') body++;
      else if (body > 0 && token.text === 'end') body--;
    }
    if (token.text === ';' && token.kind === 'symbol' && token.depth === 0 && body === 0) found.push([]);
    else current.push(token);
  }
  return found.filter((statement) => statement.length > 0);
}

/** What keeps a DDL file from running as one piece inside a transaction; none when nothing is known. */
export function faultOfSchemaFile(text: string): FileFault | undefined {
  const meta = /^[ \t]*\\/m.exec(text);
  const { tokens, fault } = lex(text);
  if (fault) {
    const early = meta && meta.index <= fault.at;
    return early ? { message: 'it holds a psql command', at: meta.index } : fault;
  }
  for (const statement of statements(tokens)) {
    const [first, second] = statement as [Token, Token?];
    if (first.text === '\\') return { message: 'it holds a psql command', at: first.at };
    if (isTransactionControl(statement))
      return { message: `it holds transaction control (${first.text.toUpperCase()})`, at: first.at };
    if (first.text === 'copy' && statement.some(({ text: word }) => word === 'stdin'))
      return { message: 'it holds COPY … FROM stdin', at: first.at };
    if (second?.text === '\\') return { message: 'it holds a psql command', at: second.at };
  }
  return undefined;
}
