import type { Command } from 'commander';
import { usageError } from '../../../src/errors.ts';
import { endSession } from '../../../src/pg/session.ts';
import { type GeneratedPlan, generatePlan } from '../../../src/plan/generate/generate.ts';
import { samplePlan } from '../../../src/plan/generate/sample.ts';
import { plural } from '../../units.ts';
import { type CommonOptions, emit, perform, withCommonOptions } from '../command.ts';
import { type DatabaseOption, readDatabaseOption } from '../database-option.ts';
import { exitCode } from '../exit-code.ts';
import { palette, wantsColor } from '../render/color.ts';
import { writeWrapped } from '../render/columns.ts';
import { open } from '../resolve-file.ts';

interface GenerateOptions extends CommonOptions {
  from?: string;
  to?: string;
}

async function planFor(from: DatabaseOption, to: DatabaseOption | undefined): Promise<GeneratedPlan> {
  const references = {
    source: `\${${from.variable}}`,
    target: `\${${to?.variable ?? 'TARGET_DATABASE_URL'}}`,
  };
  const source = await open(from.endpoint, 'source');
  try {
    const target = to && (await open(to.endpoint, 'target'));
    try {
      return await generatePlan(source, target, references);
    } finally {
      if (target) await endSession(target);
    }
  } finally {
    await endSession(source);
  }
}

/** What does not belong into the plan, on stderr. */
function remark(lines: string[], options: CommonOptions): void {
  if (options.json === true) return;
  const paint = palette(wantsColor(process.stderr, options.color));
  if (lines.length > 0)
    writeWrapped(
      process.stderr,
      lines.map((line) => `${paint.warn('note:')} ${line}`),
    );
}

async function generate(options: GenerateOptions): Promise<GeneratedPlan> {
  if (options.from === undefined) {
    if (options.to === undefined) return { text: samplePlan(), gaps: 0 };
    throw usageError('OPTIONS_EXCLUDE', '--to needs --from', 'Name the source too: --from URL --to URL');
  }
  const from = readDatabaseOption('--from', options.from, 'SOURCE_DATABASE_URL');
  const to =
    options.to === undefined ? undefined : readDatabaseOption('--to', options.to, 'TARGET_DATABASE_URL');
  const generated = await planFor(from, to);
  const shown = [from, to].filter((each) => each?.passwordShown);
  remark(
    [
      ...shown.map(
        (each) =>
          `a password on the command line is seen by others and stays in the shell’s history: put the URL into ${each?.variable} and write -`,
      ),
      ...(generated.gaps === 0
        ? []
        : [`${plural(generated.gaps, 'place')} to decide: look for "decide:" in the plan`]),
    ],
    options,
  );
  return generated;
}

/** `rowfleet generate-config`: a commented plan that is valid as it stands, or one for databases that are there. */
export function addGenerateConfig(program: Command): void {
  const command = program
    .command('generate-config')
    .summary('print a plan to start from, for databases that are there or as a sample')
    .description(
      'Prints a commented plan. Without options: every key, valid as it stands, and nothing is connected to. With --from: ' +
        'a plan that copies every table of that database. With --to as well: tables and columns go where names and types ' +
        'match, what only you can say is left under "decide:", and comments tell what was seen. Both databases are only read.',
    )
    .option(
      '--from <database>',
      'the source: a URL, "host=… dbname=…", \'${VARIABLE}\', or - for SOURCE_DATABASE_URL',
    )
    .option('--to <database>', 'the target, in the same ways; - for TARGET_DATABASE_URL')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet generate-config > plan.yaml\n  rowfleet generate-config --from - --to - > plan.yaml',
    );
  withCommonOptions(command).action(
    perform(async (options: GenerateOptions) => {
      const { text, gaps } = await generate(options);
      if (options.json === true) emit('config', { text, gaps });
      else process.stdout.write(text);
      return exitCode.verified;
    }),
  );
}
