/**
 * What reads and makes rows with certain keys is generated, so that each place in it meets one key: rows then have one hidden
 * class, for the plan's function too, and no key is looked up by its text. Names come in as string literals only.
 */

// Written as it is, `__proto__` would not be a key; written so, others make larger objects.
const keyOf = (name: string) => (name === '__proto__' ? '["__proto__"]' : JSON.stringify(name));

/** Makes rows with keys of these names, all own, from their values in the same order. */
export function rowMaker(names: string[]): (values: unknown[]) => Record<string, unknown> {
  const entries = names.map((name, i) => `${keyOf(name)}: values[${i}]`);
  return new Function('values', `return { ${entries.join(', ')} }`) as ReturnType<typeof rowMaker>;
}

/** Reads the values of these keys, in the same order; undefined for what is not there. */
export function rowReader(names: string[]): (row: object) => unknown[] {
  const values = names.map((name) => {
    const key = JSON.stringify(name);
    // What every object has is not meant.
    return name in Object.prototype ? `Object.hasOwn(row, ${key}) ? row[${key}] : undefined` : `row[${key}]`;
  });
  return new Function('row', `return [${values.join(', ')}]`) as ReturnType<typeof rowReader>;
}
