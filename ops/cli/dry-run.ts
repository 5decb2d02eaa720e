import type { CapturedObject, KeptObject, RestorePhase } from '../../src/constraints/types.ts';
import { type FlowStatements, previewRun } from '../../src/control/preview.ts';
import { display } from '../../src/pg/quote.ts';
import type { ResolvedPlan } from '../../src/plan/types.ts';
import { plural } from '../units.ts';
import { type CommonOptions, emit, say } from './command.ts';
import { type ExitCode, exitCode } from './exit-code.ts';
import type { PlanFile } from './plan-file.ts';
import { type Palette, palette, wantsColor } from './render/color.ts';
import { printable } from './render/text.ts';
import { withResolvedPlan } from './resolve-file.ts';

/** A statement on lines of its own, indented, with nothing in it that a terminal would obey. */
function statement(sql: string): string[] {
  const lines = sql.split('\n').map((line) => line.trimEnd());
  return lines.filter((line) => line !== '').map((line) => `    ${printable(line)}`);
}

function flowLines(flows: FlowStatements[], paint: Palette): string[] {
  return flows.flatMap(({ flow, from, to, format, copyOut, copyIn }) => [
    `  ${paint.strong(printable(flow))}: ${printable(from)} → ${printable(to)} (${format})`,
    ...statement(copyOut[0] ?? ''),
    ...(copyOut.length > 1 ? [`    … and ${plural(copyOut.length - 1, 'more leaf', 'more leaves')}`] : []),
    ...statement(copyIn),
  ]);
}

function objectLines(objects: CapturedObject[], pick: (object: CapturedObject) => string[]): string[] {
  return objects.flatMap((object) => pick(object).flatMap((sql) => statement(`${sql};`)));
}

const keptLine = (kept: KeptObject): string =>
  `    ${kept.kind} ${printable(kept.name)} on ${printable(display(kept.relation))}: ${printable(kept.reason)}`;

function databaseLine(role: string, label: string, version: number, encoding: string): string {
  const readable = `${Math.floor(version / 10_000)}.${version % 10_000}`;
  return `  ${role}  ${label}  PostgreSQL ${readable}, ${encoding}`;
}

function headLines(file: PlanFile, resolved: ResolvedPlan): string[] {
  const { settings, source, target } = resolved;
  return [
    `plan ${printable(resolved.name)} is in order`,
    databaseLine('source', file.source.label, source.version, source.encoding),
    databaseLine('target', file.target.label, target.version, target.encoding),
    `  ${plural(resolved.flows.length, 'flow')} into ${plural(resolved.targets.length, 'table')}, ` +
      `${plural(settings.parallelWorkers, 'loader')}, validation ${settings.validationLevel}`,
  ];
}

/**
 * `migrate --dry-run`: preflight as in a real run, then the resolved plan and the statements that it would execute.
 * Nothing is written to either database: schema files are tried in a transaction that is rolled back.
 */
export async function printPlanOfAction(file: PlanFile, options: CommonOptions): Promise<ExitCode> {
  await withResolvedPlan(file, options, 'try', async (resolved, target) => {
    const { flows, objects, kept } = await previewRun(resolved, target);
    if (options.json === true) {
      emit('dry-run', { plan: resolved, schema: file.plan.schema, flows, objects, kept });
      return;
    }
    const paint = palette(wantsColor(process.stdout, options.color));
    const back = (phase: RestorePhase) =>
      objectLines(
        objects.filter((object) => object.phase === phase),
        (one) => one.bringBack,
      );
    const section = (title: string, lines: string[]) => (lines.length === 0 ? [] : ['', title, ...lines]);
    say(
      ...headLines(file, resolved),
      ...section(
        'schema files, applied first',
        file.plan.schema.map((name) => `    ${printable(name)}`),
      ),
      ...section('copied, in ranges of these', flowLines(flows, paint)),
      ...section(
        'taken down before copying',
        objectLines(objects.toReversed(), (one) => one.takeDown),
      ),
      ...section('brought back when a table is copied', back('index')),
      ...section('brought back when the validator has found nothing', back('constrain')),
      ...section('done at the end', back('finish')),
      ...section('stays up', kept.map(keptLine)),
      '',
      'nothing was written',
    );
  });
  return exitCode.verified;
}
