/** A key or an index on the way to a place in a plan file. */
export type PathSegment = string | number;

const simpleKey = /^[A-Za-z_][\w-]*$/;

/** The way in a document as people read it: `flows[0].columns.id`. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const segment of path) {
    if (typeof segment === 'number') text += `[${segment}]`;
    else if (!simpleKey.test(String(segment))) text += `[${JSON.stringify(String(segment))}]`;
    else text += text === '' ? String(segment) : `.${String(segment)}`;
  }
  return text;
}
