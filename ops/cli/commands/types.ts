import { writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Command } from 'commander';
import { usageError } from '../../../src/errors.ts';
import { describeTransforms } from '../../../src/plan/resolve/describe-transforms.ts';
import { shellWord } from '../../../src/shell-word.ts';
import { declarations } from '../../../src/transform/declarations.ts';
import { type CommonOptions, emit, perform, withCommonOptions, withPlanOption } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { openPlanFile } from '../plan-file.ts';
import { withResolved } from '../resolve-file.ts';

interface TypesOptions extends CommonOptions {
  config: string;
  output?: string;
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such folder' : code;
    throw usageError(
      'OUTPUT_FILE',
      `${file} cannot be written: ${why}`,
      `mkdir -p ${shellWord(dirname(file))}`,
    );
  }
}

/** `rowfleet types`: TypeScript types for the transforms of a plan. */
export function addTypes(program: Command): void {
  const command = program
    .command('types')
    .summary('print TypeScript types for the transforms of a plan')
    .description(
      'Prints, for each flow with a transform, the types of what the function is given, of what it may return, and of the ' +
        'function. Both databases are read, nothing is written to them; the functions need not be there yet.',
    );
  withPlanOption(command)
    .option('-o, --output <file>', 'write into this file instead')
    .addHelpText('after', '\nExample:\n  rowfleet types -c plan.yaml -o transforms/types.ts');
  withCommonOptions(command).action(
    perform(async (options: TypesOptions) => {
      const file = openPlanFile(options.config, options);
      const resolve = describeTransforms.bind(null, file.plan);
      const text = await withResolved(file, options, 'try', resolve, async (transforms) => {
        if (transforms.length > 0) return declarations(basename(file.plan.file), transforms);
        throw usageError(
          'NO_TRANSFORM',
          `no flow of ${file.given} has a transform`,
          'Give one a transform: transforms/chunk.ts',
        );
      });
      if (options.output !== undefined) write(options.output, text);
      else if (options.json === true) emit('types', { text });
      else process.stdout.write(text);
      return exitCode.verified;
    }),
  );
}
