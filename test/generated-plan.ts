import { type GeneratedPlan, generatePlan } from '../src/plan/generate/generate.ts';
import { type ParsedPlan, parsePlan } from '../src/plan/read/parse.ts';
import { type Resolution, resolvePlan } from '../src/plan/resolve/resolve.ts';
import { planFile } from './plan.ts';
import type { TestDatabase } from './postgres.ts';

const references = { source: '${SOURCE_DATABASE_URL}', target: '${TARGET_DATABASE_URL}' };

/** The plan that `generate-config` writes for two databases, or for one. */
export async function generateFor(source: TestDatabase, target?: TestDatabase): Promise<GeneratedPlan> {
  return generatePlan(await source.open(), await target?.open(), references);
}

/** The same without its databases, as a test's own fleet takes plans. */
export async function generatedBody(source: TestDatabase, target?: TestDatabase): Promise<string> {
  const { text } = await generateFor(source, target);
  return text.replace(/^(source|target): .*\n/gm, '');
}

/** Parses a plan's text and holds it against two databases. */
export async function resolveText(
  text: string,
  source: TestDatabase,
  target: TestDatabase,
): Promise<Resolution & ParsedPlan> {
  const parsed = parsePlan(text, planFile);
  if (!parsed.plan) return parsed;
  const { resolved, problems } = await resolvePlan(parsed.plan, await source.open(), await target.open());
  return { ...parsed, resolved, problems: [...parsed.problems, ...problems] };
}
