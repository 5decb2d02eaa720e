import { readFoundRelations } from '../ledger/findings.ts';
import { readCancelledFlows } from '../ledger/flows.ts';
import { display } from '../pg/quote.ts';
import { leaderOf } from '../plan/statements/select.ts';
import { shellWord } from '../shell-word.ts';
import type { RunContext } from './context.ts';

/** What to type about the findings of a run, as whole commands. */
export async function findingsHint({ ledger, run }: RunContext): Promise<string> {
  const { id, kind, plan, planFile } = run;
  const [at, of] = [`-c ${planFile}`, `-c ${planFile} ${id}`];
  const look = `see \`rowfleet status ${id} ${at}\``;
  if (kind === 'validate') return `${look}; mend the rows, then validate again: \`rowfleet validate ${at}\``;
  const relations = await readFoundRelations(ledger, id);
  const cancelled = await readCancelledFlows(ledger, id);
  const flows = plan.flows.filter(({ target }) => relations.includes(display(target)));
  const commands = (chosen: typeof flows, typed: (flow: string) => string) =>
    [...new Set(chosen.map(leaderOf))].map((name) => `\`${typed(shellWord(name))}\``).join(' and ');
  const reloads = commands(
    flows.filter(({ name, fusion }) => fusion === undefined && !cancelled.includes(name)),
    (flow) => `rowfleet requeue --run ${id} --flow ${flow} --reload ${at}`,
  );
  const resumes = commands(
    flows.filter(({ name }) => cancelled.includes(name)),
    (flow) => `rowfleet resume ${of} --flow ${flow}`,
  );
  const again = reloads === '' ? '' : `, or load them again with ${reloads}`;
  const taken = resumes === '' ? '' : `; take what was cancelled up again with ${resumes}`;
  return `${look}${taken}; mend the rows${again}; then \`rowfleet resume ${of}\`, or give up with \`rowfleet cancel ${of}\``;
}
