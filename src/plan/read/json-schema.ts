import { z } from 'zod';
import { planDefinition } from './definition.ts';

/** The JSON Schema of a plan file, as `plan.schema.json` holds it for editors. */
export function planJsonSchema(): string {
  const schema = z.toJSONSchema(planDefinition, { io: 'input' });
  return `${JSON.stringify({ ...schema, title: 'rowfleet plan' }, null, 2)}\n`;
}
