const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Each of `a` by its partner in `b`. */
export const ratios = (a: number[], b: number[]): number[] => a.map((value, i) => value / b[i]!);

/** `median  (min–max)`. */
export function spread(values: number[], digits: number): string {
  const text = (value: number) =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${text(median(values))}  (${text(Math.min(...values))}–${text(Math.max(...values))})`;
}
