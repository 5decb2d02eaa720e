import { z } from 'zod';
import { durationPattern } from './duration.ts';

const durationMessage = 'must be a duration such as 30s, 500ms or 2m';

export const text = z.string().min(1);
// Names go into the ledger, the queue and terminals.
export const name = z.string().regex(/^\P{Cc}{1,200}$/u, 'must be 1 to 200 characters on one line');

export const whole = (min: number, max: number) => z.int().min(min).max(max);

export const duration = z.string(durationMessage).regex(durationPattern, durationMessage);

const expression = z.union([text, z.number()]);
export const expressions = z.union([expression, z.array(expression).min(1)]);
