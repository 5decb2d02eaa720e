/** `30s`, `500ms`, `2m`, `1h`. */
export const durationPattern = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a text that `durationPattern` matches. */
export function durationMs(text: string): number {
  const [, amount, unit] = durationPattern.exec(text)!;
  return Math.round(Number(amount) * unitMs[unit as keyof typeof unitMs]);
}
