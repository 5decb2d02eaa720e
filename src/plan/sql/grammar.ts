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

const tooDeep = { fault: { message: 'it is nested too deeply', before: 0 } };

/** Levels of a tree that functions which call themselves can follow. A term of `a || b || …` takes three. */
const mostLevels = 3500;

function nestsDeeply(tree: unknown): boolean {
  const open: [value: unknown, level: number][] = [[tree, 0]];
  for (let next = open.pop(); next; next = open.pop()) {
    const [value, level] = next;
    if (level > mostLevels) return true;
    if (value === null || typeof value !== 'object') continue;
    for (const child of Object.values(value)) open.push([child, level + 1]);
  }
  return false;
}

/** Parses SQL as a PostgreSQL 18 server would, without one. Locations in the tree are bytes of UTF-8. */
export async function parseSql(sql: string): Promise<Parsed> {
  // The parser takes the text as a C string: what follows a NUL would not be looked at.
  const nul = sql.indexOf('\0');
  if (nul >= 0)
    return { fault: { message: 'it holds a NUL character', before: characters(sql.slice(0, nul)) } };
  const { parseSync, hasSqlDetails } = await grammar();
  try {
    const statements = parseSync(sql).stmts ?? [];
    return nestsDeeply(statements) ? tooDeep : { statements };
  } catch (error) {
    if (hasSqlDetails(error))
      return { fault: { message: error.message, before: error.sqlDetails?.cursorPosition ?? 0 } };
    // The compiled parser's stack, which is smaller than a server's.
    if (error instanceof RangeError) return tooDeep;
    throw error;
  }
}

/** Characters of a text as the server counts them. */
export const characters = (text: string): number => [...text].length;
