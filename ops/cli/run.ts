import { type Command, CommanderError } from 'commander';
import { usageError } from '../../src/errors.ts';
import { shellWord } from '../../src/shell-word.ts';
import { exitCode } from './exit-code.ts';
import { exitCodeOfError, printFailure } from './failure.ts';
import { buildProgram } from './program.ts';

/** What to type after a command line that commander refuses. */
function nextStep(program: Command, argv: string[]): string {
  const [verb, ...rest] = argv.slice(2);
  const plan = rest.find((word, i) => /\.ya?ml$/.test(word) && !rest[i - 1]?.startsWith('-'));
  if (plan !== undefined && !rest.includes('-c')) return `did you mean -c ${shellWord(plan)}?`;
  const command = program.commands.find((each) => each.name() === verb);
  const below = command?.commands.find((each) => each.name() === rest[0]);
  const known = [command, below].flatMap((each) => each?.name() ?? []);
  return ['rowfleet', ...known, '--help'].join(' ');
}

/** Runs one command line (`argv` as in process.argv) and sets the process's exit code. Never throws. */
export async function runCommandLine(argv: string[]): Promise<void> {
  const json = argv.includes('--json');
  const program = await buildProgram(argv[2]);
  // Commander prints its own errors for people; with --json they are printed here.
  if (json) for (const one of [program, ...program.commands]) one.configureOutput({ writeErr: () => {} });
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      process.exitCode = exitCodeOfError(error);
      printFailure(error, { json, color: true });
      return;
    }
    // `--help` and `--version` arrive here too, with 0.
    process.exitCode = error.exitCode === 0 ? exitCode.verified : exitCode.usage;
    // Of a group without a command all of its help stands there already.
    if (error.exitCode === 0 || (error.code === 'commander.help' && !json)) return;
    const hint = nextStep(program, argv);
    const message = error.message.replace(/^error: /, '');
    if (json) printFailure(usageError('USAGE', message, hint), { json, color: false });
    else process.stderr.write(`  → ${hint}\n`);
  }
}
