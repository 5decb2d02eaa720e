import { vi } from 'vitest';
import type { Session } from '../src/pg/session.ts';

/** The text of every statement that a session sends from now on. */
export function statementsOf(session: Session): string[] {
  const { connection } = session as unknown as {
    connection: { query(text: string): void; parse(statement: { text: string }): void };
  };
  const texts: string[] = [];
  const [query, parse] = [connection.query.bind(connection), connection.parse.bind(connection)];
  vi.spyOn(connection, 'query').mockImplementation((text) => {
    texts.push(text);
    query(text);
  });
  vi.spyOn(connection, 'parse').mockImplementation((statement) => {
    texts.push(statement.text);
    parse(statement);
  });
  return texts;
}
