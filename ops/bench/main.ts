import { Command } from 'commander';
import { benchCopying } from './copying.ts';
import { benchRestructuring } from './restructuring.ts';
import { benchSplit } from './split.ts';
import { benchTransform } from './transform.ts';

/** `npm run bench`: rowfleet against what people would use in its place, in turn in one run, on embedded PostgreSQL. */

type Bench = (options: { rows: number; runs: number }) => Promise<void>;

const sized = (command: Command, bench: Bench, rows = 2_000_000): Command =>
  command
    .option('--rows <number>', 'rows to copy', Number, rows)
    .option('--runs <number>', 'rounds to time', Number, 5)
    .action(bench);

await sized(new Command('bench'), benchCopying)
  .enablePositionalOptions()
  .description('Times rowfleet against a pipe of two psql, in turn, on an embedded PostgreSQL.')
  .addCommand(
    sized(new Command('restructuring'), benchRestructuring, 1_000_000).description(
      'A join, expressions, jsonb and casts, by one loader and by two, against the same SELECT through a pipe.',
    ),
  )
  .addCommand(
    sized(new Command('split'), benchSplit, 2_000_000).description(
      "One table into three: the source's CPU time for one read, against three copies.",
    ),
  )
  .addCommand(
    sized(new Command('transform'), benchTransform, 1_000_000).description(
      'A function in TypeScript, against a cursor and INSERTs of 1,000 rows.',
    ),
  )
  .parseAsync();
