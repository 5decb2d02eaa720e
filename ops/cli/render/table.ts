import { left, right, widthOf } from './text.ts';

/** Cells as lines with aligned columns; the columns in `numeric` stand on the right. */
export function table(rows: string[][], numeric: number[] = []): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => widthOf(row[i] ?? ''))));
  return rows.map((row) =>
    row
      .map((cell, i) => (numeric.includes(i) ? right(cell, widths[i]!) : left(cell, widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}
