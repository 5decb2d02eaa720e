import type { Command } from 'commander';
import { explainPlan } from '../../../../src/plan/explain.ts';
import { type CommonOptions, emit, perform, say, withCommonOptions, withPlanOption } from '../../command.ts';
import { exitCode } from '../../exit-code.ts';
import { openPlanFile } from '../../plan-file.ts';
import { palette, wantsColor } from '../../render/color.ts';
import { explainedLines } from '../../render/explain.ts';
import { flowchart } from '../../render/flowchart.ts';
import { withResolvedPlan } from '../../resolve-file.ts';

interface ExplainOptions extends CommonOptions {
  config: string;
  mermaid?: boolean;
}

/** `rowfleet plan explain`: where the value of each target column comes from. */
export function addExplain(group: Command): void {
  const command = group
    .command('explain')
    .summary('show each target column’s way from its source columns')
    .description(
      'Holds the plan against both databases, as migrate --dry-run does, and shows for each target column the ' +
        'expression that fills it, the source columns that it is made of, and both types. ? stands for what cannot be ' +
        'told. Writes nothing.',
    );
  withPlanOption(command)
    .option('--mermaid', 'print a Mermaid flowchart instead: in Markdown, put it into a ```mermaid block')
    .addHelpText('after', '\nExample:\n  rowfleet plan explain -c plan.yaml --mermaid > plan.mmd');
  withCommonOptions(command).action(
    perform(async (options: ExplainOptions) => {
      const file = openPlanFile(options.config, options);
      const flows = await withResolvedPlan(file, options, 'try', (resolved, target, source) =>
        explainPlan(resolved, source, target),
      );
      if (options.mermaid === true) say(...flowchart(flows));
      else if (options.json === true) for (const flow of flows) emit('explain', flow);
      else say(...explainedLines(flows, palette(wantsColor(process.stdout, options.color))));
      return exitCode.verified;
    }),
  );
}
