import type { RunSummary } from '../../src/ledger/read-run.ts';
import { plural } from '../units.ts';

/**
 * What to type once a run has ended, in lines for people.
 * @param option ` -c plan.yaml` as it was given; empty where the environment says where the target is
 */
export function nextSteps(
  {
    id,
    kind,
    state,
    quarantined,
    error,
  }: Pick<RunSummary, 'id' | 'kind' | 'state' | 'quarantined' | 'error'>,
  option: string,
): string[] {
  const resume = `  rowfleet resume${option} ${id}`;
  const retry = `  rowfleet quarantine retry --all --run ${id}${option}`;
  switch (state) {
    case 'verified':
      return [`  rowfleet status ${id}${option}   shows every check with its numbers`];
    case 'quarantined':
      return ['  once its rows are mended:', retry];
    case 'findings':
      if (kind === 'validate') return ['  once the data is mended:', `  rowfleet validate${option}`];
      if (quarantined === 0) return ['  once the data is mended:', resume];
      return [
        '  once the data is mended:',
        `${retry}   for the ${plural(quarantined, 'row')} in quarantine; verifies all anew`,
        `${resume}   verifies all anew, and leaves those where they are`,
      ];
    case 'stopped':
      return [`${resume}   goes on with it`];
    case 'failed':
      if (error?.class !== 'row' || kind !== 'migrate') return ['  once the cause is mended:', resume];
      return [
        '  once the row is mended:',
        resume,
        '  once the plan is mended:',
        `  rowfleet revise${option || ' -c plan.yaml'} ${id} && rowfleet resume${option} ${id}`,
      ];
    default:
      return [];
  }
}
