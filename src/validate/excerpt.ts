const shown = 200;
const before = 40;

// By code points: half a surrogate pair cannot be stored as JSON.
function cut(points: string[], start: number): string {
  const end = start + shown;
  return `${start > 0 ? '…' : ''}${points.slice(start, end).join('')}${end < points.length ? '…' : ''}`;
}

/** A text as people see it: its first 200 characters, … where it was cut. NULL stays null. */
export const excerpt = (text: string | null): string | null => (text === null ? null : cut([...text], 0));

/** Two values, cut at 200 characters around the place where they first differ. NULL stays null. */
export function excerpts(
  expected: string | null,
  found: string | null,
): { expected: string | null; found: string | null } {
  const [left, right] = [[...(expected ?? '')], [...(found ?? '')]];
  let at = 0;
  while (at < Math.min(left.length, right.length) && left[at] === right[at]) at++;
  const start = Math.max(left.length, right.length) > shown ? Math.max(0, at - before) : 0;
  return {
    expected: expected === null ? null : cut(left, start),
    found: found === null ? null : cut(right, start),
  };
}
