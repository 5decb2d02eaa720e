import { Command } from 'commander';
import { benchCopy } from './copy.ts';
import { benchTransform } from './transform.ts';

interface BenchOptions {
  rows: number;
  runs: number;
}

const program = new Command('bench').description('Times rowfleet on an embedded PostgreSQL.');

program
  .command('copy', { isDefault: true })
  .description('against a pipe of two psql, in turn')
  .option('--rows <number>', 'rows to copy', Number, 2_000_000)
  .option('--runs <number>', 'pairs to time', Number, 5)
  .action(({ rows, runs }: BenchOptions) => benchCopy(rows, runs));

program
  .command('transform')
  .description('a function in TypeScript, against a cursor and INSERTs of 1,000 rows, in turn')
  .option('--rows <number>', 'rows to move', Number, 200_000)
  .option('--runs <number>', 'pairs to time', Number, 5)
  .action(({ rows, runs }: BenchOptions) => benchTransform(rows, runs));

await program.parseAsync();
