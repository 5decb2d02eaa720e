import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addCancel } from './commands/cancel.ts';
import { addGenerateConfig } from './commands/generate-config.ts';
import { addIds } from './commands/ids.ts';
import { addLoader } from './commands/loader.ts';
import { addMigrate } from './commands/migrate.ts';
import { addNotBuilt } from './commands/not-built.ts';
import { addPause } from './commands/pause.ts';
import { addPlan } from './commands/plan.ts';
import { addQuarantine } from './commands/quarantine.ts';
import { addRequeue } from './commands/requeue.ts';
import { addResume } from './commands/resume.ts';
import { addRevise } from './commands/revise.ts';
import { addScheduler } from './commands/scheduler.ts';
import { addSet } from './commands/set.ts';
import { addStatus } from './commands/status.ts';
import { addTypes } from './commands/types.ts';
import { addUninstall } from './commands/uninstall.ts';
import { addValidate } from './commands/validate.ts';
import { addValidator } from './commands/validator.ts';
import { addWeb } from './commands/web.ts';

/** The nearest package.json above this file: two folders up in a checkout, three in the compiled package. */
function version(): string {
  for (const up of ['../../', '../../../']) {
    try {
      const { name, version } = JSON.parse(
        readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8'),
      );
      if (name === 'rowfleet') return version;
    } catch {
      // Not in that folder.
    }
  }
  return 'unknown';
}

const epilogue = `
Exit codes: 0 verified, 1 failed, 2 usage or plan error,
  3 finished with findings or rows in quarantine, 130 interrupted.

Example:
  rowfleet generate-config > plan.yaml
  rowfleet migrate -c plan.yaml`;

/** The command line as a commander program. It throws instead of ending the process. */
export function buildProgram(): Command {
  const program = new Command('rowfleet')
    .description(
      'Moves the rows of a PostgreSQL database into a new shape with a fleet of workers, and proves that nothing was lost.',
    )
    .version(version())
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', epilogue);
  addGenerateConfig(program);
  addTypes(program);
  addPlan(program);
  addMigrate(program);
  addPause(program);
  addResume(program);
  addRequeue(program);
  addCancel(program);
  addSet(program);
  addQuarantine(program);
  addRevise(program);
  addValidate(program);
  addStatus(program);
  addIds(program);
  addScheduler(program);
  addLoader(program);
  addValidator(program);
  addWeb(program);
  addUninstall(program);
  addNotBuilt(program);
  return program;
}
