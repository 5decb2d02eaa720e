import type { Command } from 'commander';
import { addExplain } from './plan/explain.ts';

/** `rowfleet plan`: what a plan means, without running it. */
export function addPlan(program: Command): void {
  const group = program
    .command('plan')
    .summary('show what a plan means')
    .description('Looks at a plan against both databases. Writes nothing to either.')
    .addHelpText(
      'after',
      '\nIt takes --json and --no-color: rowfleet plan explain --help.\n\nExample:\n  rowfleet plan explain -c plan.yaml',
    );
  addExplain(group);
}
