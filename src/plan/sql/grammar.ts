import type { RawStmt } from 'libpg-query';

/** Why PostgreSQL's grammar does not take a text. */
export interface SyntaxFault {
  /** As the server would put it. */
  message: string;
  /** Characters before the place. */
  before: number;
}

export type Parsed =
  | { statements: RawStmt[]; fault?: undefined }
  | { statements?: undefined; fault: SyntaxFault };

let loading: Promise<typeof import('libpg-query')> | undefined;

/** Loaded when first needed: it takes a tenth of a second, which most commands have no use for. */
async function grammar(): Promise<typeof import('libpg-query')> {
  loading ??= import('libpg-query').then(async (module) => {
    await module.loadModule();
    return module;
  });
  return loading;
}

/** Parses SQL as a PostgreSQL 18 server would, without one. Locations in the tree are bytes of UTF-8. */
export async function parseSql(sql: string): Promise<Parsed> {
  // The parser takes the text as a C string: what follows a NUL would not be looked at.
  const nul = sql.indexOf('\0');
  if (nul >= 0)
    return { fault: { message: 'it holds a NUL character', before: characters(sql.slice(0, nul)) } };
  const { parseSync, hasSqlDetails } = await grammar();
  try {
    return { statements: parseSync(sql).stmts ?? [] };
  } catch (error) {
    if (hasSqlDetails(error))
      return { fault: { message: error.message, before: error.sqlDetails?.cursorPosition ?? 0 } };
    // The compiled parser's stack, beyond that of the server's own check.
    if (error instanceof RangeError) return { fault: { message: 'it is nested too deeply', before: 0 } };
    throw error;
  }
}

/** Characters of a text as the server counts them. */
export const characters = (text: string): number => [...text].length;
