import { setTimeout as sleep } from 'node:timers/promises';
import { planDifference } from '../../src/control/revise.ts';
import type { Run } from '../../src/ledger/runs.ts';
import type { ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import { plural } from '../units.ts';
import { type CommonOptions, emit } from './command.ts';
import { PlanError, type PlanFile } from './plan-file.ts';
import { palette, wantsColor } from './render/color.ts';
import { writeWrapped } from './render/columns.ts';
import { printable } from './render/text.ts';
import { withResolvedPlan } from './resolve-file.ts';

/** A remark is not worth more waiting. */
const compareWithinMs = 10_000;

/** How a plan file differs from the plan that a run goes by; undefined where it does not, or where that cannot be told. */
async function difference(file: PlanFile, run: Run): Promise<string | undefined> {
  // The run itself has filled the tables by now.
  const plan = { ...file.plan, allowNonEmpty: true, backupBeforeMigrate: false };
  const quiet = { json: true, color: false };
  try {
    const compare = async (now: ResolvedPlan) => planDifference(run, now);
    return await withResolvedPlan({ ...file, plan }, quiet, 'skip', compare, { seconds: 0 });
  } catch (error) {
    // A database that is away is told of by what comes next.
    return error instanceof PlanError ? `it has ${plural(error.problems.length, 'problem')} now` : undefined;
  }
}

/** Says where a plan file was changed since its run recorded it: the run goes by what it recorded. */
export async function remarkOnPlan(
  file: PlanFile | undefined,
  run: Run,
  options: CommonOptions,
): Promise<void> {
  if (file === undefined) return;
  const late = new AbortController();
  const what = await Promise.race([
    difference(file, run),
    sleep(compareWithinMs, null, { signal: late.signal }),
  ]).finally(() => late.abort());
  if (what === undefined) return;
  const { id, revision, kind } = run;
  const revise = `rowfleet revise -c ${file.given} ${id}`;
  const which = `revision ${revision} of run ${id}`;
  const told =
    what === null
      ? `whether ${file.given} differs from ${which} could not be told in ${compareWithinMs / 1000} s`
      : `${file.given} differs from ${which} (${what})`;
  const message =
    `${told}: the run goes on by revision ${revision}` +
    (kind === 'migrate' ? `; ${revise} makes it go by the file` : '');
  if (options.json === true) emit('remark', { run: id, revision, message });
  else
    writeWrapped(process.stderr, [
      `${palette(wantsColor(process.stderr, options.color)).warn('note:')} ${printable(message)}`,
    ]);
}
