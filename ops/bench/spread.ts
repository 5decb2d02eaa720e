/** How figures that were taken in turn are told: medians with their range, and ratios pair by pair. */

const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** One value over the other of the same round: what a busy machine does to both cancels out. */
export const ratios = (a: number[], b: number[]): number[] => a.map((value, i) => value / b[i]!);

/** `median  (min–max)` */
export function spread(values: number[], digits: number): string {
  const text = (value: number) =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${text(median(values))}  (${text(Math.min(...values))}–${text(Math.max(...values))})`;
}

/** One line of a table of figures. */
export const line = (label: string, value: string): string => `  ${label.padEnd(40)}${value}`;

/** Measures so many rounds after one that warms up, and gives what each key came to in each round. */
export async function rounds<K extends string>(
  count: number,
  measure: () => Promise<Record<K, number>>,
): Promise<Record<K, number[]>> {
  const all = {} as Record<K, number[]>;
  for (let i = 0; i <= count; i++) {
    const figures = Object.entries(await measure()) as [K, number][];
    for (const [key, figure] of figures) all[key] = i === 0 ? [] : [...all[key], figure];
  }
  return all;
}
