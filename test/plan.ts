import type pg from 'pg';
import { landingOf } from '../src/copy/landing.ts';
import { inTransaction } from '../src/pg/transaction.ts';
import type { Plan } from '../src/plan/plan.ts';
import type { PlanProblem } from '../src/plan/problems.ts';
import { type ParsedPlan, parsePlan } from '../src/plan/read/parse.ts';
import { type Resolution, resolvePlan } from '../src/plan/resolve/resolve.ts';
import type { ResolvedFlow, ResolvedPlan } from '../src/plan/resolved-plan.ts';
import { blockRange, copyOutStatement } from '../src/plan/statements/select.ts';
import { relay } from '../src/wire/relay.ts';
import type { TestDatabase } from './postgres.ts';

/** Where plans of tests pretend to stand. */
export const planFile = '/plans/test.yaml';

/** A plan's text for tests: its databases are on lines 1 and 2, the body begins on line 3. */
export const planText = (body: string): string =>
  ['source: postgres://source/db', 'target: postgres://target/db', body.replace(/^\n/, '')].join('\n');

/** The plan of a body that has nothing wrong with it. */
export function goodPlan(body: string, file = planFile): Plan {
  const { plan, problems } = parsePlan(planText(body), file);
  if (!plan) throw new Error(JSON.stringify(problems, null, 2));
  return plan;
}

/** Parses a body and holds it against two databases. */
export async function resolveBody(
  source: TestDatabase,
  target: TestDatabase,
  body: string,
): Promise<Resolution> {
  const parsed: ParsedPlan = parsePlan(planText(body), planFile);
  if (!parsed.plan) return { problems: parsed.problems };
  const [from, to] = [await source.open(), await target.open()];
  const { resolved, problems } = await resolvePlan(parsed.plan, from, to);
  return { resolved, problems: [...parsed.problems, ...problems] };
}

/** The same, of a body that has no error in it. */
export async function resolveGood(
  source: TestDatabase,
  target: TestDatabase,
  body: string,
): Promise<ResolvedPlan> {
  const { resolved, problems } = await resolveBody(source, target, body);
  if (!resolved) throw new Error(problems.map(brief).join('\n'));
  return resolved;
}

/** A problem on one line: `line path severity: message | hint`. */
export const brief = ({ severity, at, message, hint }: PlanProblem): string =>
  `${at.line} ${at.path} ${severity}: ${message} | ${hint ?? ''}`;

/** Copies all of a flow as loaders do, one batch a leaf. Both sessions are idle. */
export async function copyFlow(
  source: pg.Client,
  target: pg.Client,
  plan: ResolvedPlan,
  flow: ResolvedFlow,
): Promise<void> {
  for (const leaf of flow.leaves) {
    const copyOut = copyOutStatement(flow, blockRange(leaf, 0, null));
    const options = { searchPath: plan.source.searchPath };
    await inTransaction(
      source,
      'repeatable read, read only',
      () =>
        relay(
          { session: source, statement: copyOut },
          { session: target, statement: landingOf(flow).statement },
          { signal: AbortSignal.timeout(30_000) },
        ),
      options,
    );
  }
}
