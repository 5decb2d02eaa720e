import pg from 'pg';

/** How such scripts are usually written: a cursor over the source, a function per row, and INSERTs of a thousand rows with parameters. */

type Row = Record<string, unknown>;

const rowsAtOnce = 1000;

function insertStatement(table: string, columns: string[], rows: number): string {
  const places = Array.from({ length: rows }, (_, row) => {
    const list = columns.map((_, i) => `$${row * columns.length + i + 1}`);
    return `(${list.join(', ')})`;
  });
  return `insert into ${table} (${columns.join(', ')}) values ${places.join(', ')}`;
}

/** Rows that are to go through. */
export interface UsualWay {
  /** Connection strings. */
  source: string;
  target: string;
  select: string;
  into: string;
  columns: string[];
  change: (row: Row) => Row;
}

/** Moves all rows the usual way, in one transaction on each side; returns how many. */
export async function moveTheUsualWay({
  source,
  target,
  select,
  into,
  columns,
  change,
}: UsualWay): Promise<number> {
  const [from, to] = [new pg.Client(source), new pg.Client(target)];
  await Promise.all([from.connect(), to.connect()]);
  let moved = 0;
  try {
    await from.query('begin');
    await to.query('begin');
    await from.query(`declare rows cursor for ${select}`);
    for (;;) {
      const { rows } = await from.query<Row>(`fetch ${rowsAtOnce} from rows`);
      if (rows.length === 0) break;
      const values = rows.map(change).flatMap((row) => columns.map((column) => row[column]));
      await to.query(insertStatement(into, columns, rows.length), values);
      moved += rows.length;
    }
    await to.query('commit');
    await from.query('commit');
  } finally {
    await Promise.all([from.end(), to.end()]);
  }
  return moved;
}
