import { readFoundRelations } from '../ledger/findings.ts';
import { display } from '../pg/quote.ts';
import type { RunContext } from './context.ts';

/** What to type about the findings of a run, as whole commands. */
export async function findingsHint({ ledger, run }: RunContext): Promise<string> {
  const { id, kind, plan, planFile } = run;
  const [at, of] = [`-c ${planFile}`, `-c ${planFile} ${id}`];
  const look = `see \`rowfleet status ${id} ${at}\``;
  if (kind === 'validate') return `${look}; mend the rows, then validate again: \`rowfleet validate ${at}\``;
  const relations = await readFoundRelations(ledger, id);
  const flows = plan.flows.filter(
    ({ target, fusion }) => fusion === undefined && relations.includes(display(target)),
  );
  const reloads = flows.map(({ name }) => `\`rowfleet requeue --run ${id} --flow ${name} --reload ${at}\``);
  const again = reloads.length === 0 ? '' : `, or load them again with ${reloads.join(' and ')}`;
  return `${look}; mend the rows${again}; then \`rowfleet resume ${of}\`, or give up with \`rowfleet cancel ${of}\``;
}
