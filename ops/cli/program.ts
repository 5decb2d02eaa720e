import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addNotBuilt } from './commands/not-built.ts';

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

/** What adds each command, in the order of `--help`. Its modules are loaded when it is asked for: a process of a fleet needs one of them. */
const commands: Record<string, () => Promise<(program: Command) => void>> = {
  'generate-config': async () => (await import('./commands/generate-config.ts')).addGenerateConfig,
  types: async () => (await import('./commands/types.ts')).addTypes,
  plan: async () => (await import('./commands/plan.ts')).addPlan,
  migrate: async () => (await import('./commands/migrate.ts')).addMigrate,
  pause: async () => (await import('./commands/pause.ts')).addPause,
  resume: async () => (await import('./commands/resume.ts')).addResume,
  requeue: async () => (await import('./commands/requeue.ts')).addRequeue,
  cancel: async () => (await import('./commands/cancel.ts')).addCancel,
  set: async () => (await import('./commands/set.ts')).addSet,
  quarantine: async () => (await import('./commands/quarantine.ts')).addQuarantine,
  revise: async () => (await import('./commands/revise.ts')).addRevise,
  validate: async () => (await import('./commands/validate.ts')).addValidate,
  status: async () => (await import('./commands/status.ts')).addStatus,
  ids: async () => (await import('./commands/ids.ts')).addIds,
  scheduler: async () => (await import('./commands/scheduler.ts')).addScheduler,
  loader: async () => (await import('./commands/loader.ts')).addLoader,
  validator: async () => (await import('./commands/validator.ts')).addValidator,
  web: async () => (await import('./commands/web.ts')).addWeb,
  uninstall: async () => (await import('./commands/uninstall.ts')).addUninstall,
};

/**
 * The command line as a commander program. It throws instead of ending the process.
 * @param asked the command that is wanted: it alone is added then. All are where there is none of that name
 */
export async function buildProgram(asked?: string): Promise<Command> {
  const program = new Command('rowfleet')
    .description(
      'Moves the rows of a PostgreSQL database into a new shape with a fleet of workers, and proves that nothing was lost.',
    )
    .version(version())
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', epilogue);
  if (asked !== undefined && Object.hasOwn(commands, asked)) (await commands[asked]!())(program);
  else {
    for (const load of Object.values(commands)) (await load())(program);
    addNotBuilt(program);
  }
  return program;
}
