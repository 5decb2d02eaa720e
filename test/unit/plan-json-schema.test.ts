import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { planJsonSchema } from '../../src/plan/read/json-schema.ts';

test('plan.schema.json is what the definition gives (write planJsonSchema() to the file when it is not)', () => {
  const committed = readFileSync(new URL('../../src/plan/plan.schema.json', import.meta.url), 'utf8');
  expect(committed).toBe(planJsonSchema());
  const schema = JSON.parse(committed);
  expect(Object.keys(schema.properties)).toContain('flows');
  expect(schema.additionalProperties).toBe(false);
});
