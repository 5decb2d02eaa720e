import type { Command } from 'commander';
import { samplePlan } from '../../../src/plan/sample.ts';
import { type CommonOptions, emit, perform, withCommonOptions } from '../command.ts';
import { exitCode } from '../exit-code.ts';

/** `rowfleet generate-config`: a commented plan that is valid as it stands. */
export function addGenerateConfig(program: Command): void {
  const command = program
    .command('generate-config')
    .summary('print a commented plan to start from')
    .description('Prints a commented plan that is valid as it stands. Nothing is connected to.')
    .addHelpText('after', '\nExample:\n  rowfleet generate-config > plan.yaml');
  withCommonOptions(command).action(
    perform(async (options: CommonOptions) => {
      const text = samplePlan();
      if (options.json === true) emit('config', { text });
      else process.stdout.write(text);
      return exitCode.verified;
    }),
  );
}
