import { dirname } from 'node:path';
import { previewRun } from '../../src/control/preview/preview.ts';
import { usageError } from '../../src/errors.ts';
import { display } from '../../src/pg/quote.ts';
import type { Session } from '../../src/pg/session.ts';
import type { SourceCounts } from '../../src/plan/count/source-counts.ts';
import type { ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import { plural } from '../units.ts';
import { type CommonOptions, emit, say } from './command.ts';
import { type ExitCode, exitCode } from './exit-code.ts';
import { onInterruption } from './interruption.ts';
import type { PlanFile } from './plan-file.ts';
import { renderActions } from './render/actions.ts';
import { type Palette, palette, wantsColor } from './render/color.ts';
import { columnsOf } from './render/columns.ts';
import { type CountedJoin, renderForecast, renderJoins } from './render/forecast.ts';
import { countRefused, renderSample } from './render/sample.ts';
import { printable } from './render/text.ts';
import { withResolvedPlan } from './resolve-file.ts';

export interface DryRunOptions extends CommonOptions {
  /** Driving rows of each flow that are shown before and after, as it was given. */
  sample?: string;
}

const defaultSample = 5;
const mostSample = 500;

/** How many rows to show. Throws SAMPLE_INVALID. */
function sampleOf({ sample }: DryRunOptions): number {
  if (sample === undefined) return defaultSample;
  const most = /^\d{1,4}$/.test(sample) ? Number(sample) : Number.POSITIVE_INFINITY;
  if (most <= mostSample) return most;
  throw usageError(
    'SAMPLE_INVALID',
    `--sample must be a whole number up to ${mostSample}, not "${sample}"`,
    `${defaultSample} rows of each flow are shown without it, none with --sample 0`,
  );
}

function databaseLine(role: string, label: string, version: number, encoding: string): string {
  const readable = `${Math.floor(version / 10_000)}.${version % 10_000}`;
  return `  ${role}  ${label}  PostgreSQL ${readable}, ${encoding}`;
}

function headLines(file: PlanFile, resolved: ResolvedPlan): string[] {
  const { settings, source, target, flows } = resolved;
  const tables = new Set(flows.flatMap((flow) => (flow.idMap ? [] : display(flow.target))));
  return [
    `plan ${printable(resolved.name)} is in order`,
    databaseLine('source', file.source.label, source.version, source.encoding),
    databaseLine('target', file.target.label, target.version, target.encoding),
    `  ${plural(flows.length, 'flow')} into ${plural(tables.size, 'table')}, ` +
      `${plural(settings.parallelWorkers, 'loader')}, validation ${settings.validationLevel}`,
  ];
}

/** Ends at the first signal: the servers roll back what is open, and nothing was written anyway. */
function endOnInterruption(): () => void {
  const { signal, release } = onInterruption();
  const end = () => {
    process.stderr.write('interrupted: nothing was written\n');
    process.exit(exitCode.interrupted);
  };
  signal.addEventListener('abort', end, { once: true });
  return release;
}

/** The end of what is printed: whether the rows that were looked at would go in. */
function lastLine(refused: number, { warn }: Palette): string {
  if (refused === 0) return 'nothing was written';
  return warn(`of the samples, ${plural(refused, 'row')} would be refused: see above; nothing was written`);
}

/** Returns how many rows of the samples would be refused. */
function print(file: PlanFile, options: DryRunOptions, sample: number): Promise<number> {
  const joins: CountedJoin[] = [];
  const look = async (resolved: ResolvedPlan, target: Session, source: Session) => {
    const { actions, forecast, samples } = await previewRun(resolved, source, target, {
      sample,
      folder: dirname(file.plan.file),
    });
    const refused = samples.reduce((sum, each) => sum + countRefused(each), 0);
    if (options.json === true) {
      emit('dry-run', { plan: resolved, schema: file.plan.schema, ...actions, joins, forecast });
      for (const each of samples) emit('sample', each);
      return refused;
    }
    const paint = palette(wantsColor(process.stdout, options.color));
    const order = forecast.flows.map(({ flow }) => flow);
    say(
      ...headLines(file, resolved),
      ...renderActions(actions, order, file.plan.schema, paint),
      ...renderJoins(joins, columnsOf(process.stdout), paint),
      ...renderForecast(forecast, columnsOf(process.stdout), paint),
      ...samples.flatMap((each) => renderSample(each, paint)),
      '',
      lastLine(refused, paint),
    );
    return refused;
  };
  const onJoin = (flow: string, counts: SourceCounts) => joins.push({ flow, ...counts });
  return withResolvedPlan(file, options, 'try', look, { onJoin });
}

/**
 * `migrate --dry-run`: preflight as in a real run, then what it would execute, what that will come to, and some rows before and after.
 * Nothing is written to either database: schema files are tried in a transaction that is rolled back. Ends as the run would at best:
 * with findings where a row of a sample would be refused.
 */
export async function dryRun(file: PlanFile, options: DryRunOptions): Promise<ExitCode> {
  const sample = sampleOf(options);
  const release = endOnInterruption();
  try {
    return (await print(file, options, sample)) === 0 ? exitCode.verified : exitCode.findings;
  } finally {
    release();
  }
}
