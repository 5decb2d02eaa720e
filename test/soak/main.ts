import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { redisAvailable } from '../redis.ts';
import type { Stage } from './faults.ts';
import { type Figures, judgeFigures, takeFigures } from './figures.ts';
import { SoakFleet } from './fleet.ts';
import { Random } from './random.ts';
import { playRound } from './round.ts';
import { openSite } from './site.ts';

/** `npm run soak`: migrations in rounds, under a random mix of faults that a seed repeats. */

interface SoakOptions {
  seed: number;
  minutes: number;
}

/** What a soak runs is what runs in production: the compiled command, which `npm run soak` builds first. */
const cli = fileURLToPath(new URL('../../dist/ops/cli/main.js', import.meta.url));

const positive = (text: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('a number above 0 is needed.');
  return value;
};

const say = (text: string): void => console.log(`${new Date().toISOString().slice(11, 23)}  ${text}`);

function report(figures: Figures[], faults: Map<string, number>): string[] {
  const struck = [...faults].sort(([a], [b]) => a.localeCompare(b)).map(([kind, n]) => `${kind} ${n}`);
  const judged = judgeFigures(figures);
  console.log(`\nrounds: ${figures.length}`);
  console.log(`faults: ${struck.join(', ')}`);
  for (const { line } of judged) console.log(line);
  return judged.flatMap(({ problem }) => problem ?? []);
}

async function soak({ seed, minutes }: SoakOptions): Promise<number> {
  const random = new Random(seed);
  const withRedis = redisAvailable() && seed % 2 === 0;
  console.log(`seed ${seed}, ${minutes} minutes, queue in ${withRedis ? 'Redis' : 'PostgreSQL'}`);
  const site = await openSite(withRedis);
  const fleet = new SoakFleet(site, cli);
  console.log(`logs of the processes: ${fleet.logs}`);
  const stage: Stage = { site, fleet, random };
  const beganAt = Date.now();
  const figures: Figures[] = [];
  const faults = new Map<string, number>();
  try {
    while (figures.length === 0 || Date.now() - beganAt < minutes * 60_000) {
      const run = await playRound(stage, (kind, what) => {
        faults.set(kind, (faults.get(kind) ?? 0) + 1);
        say(what);
      });
      if (fleet.deserters.length > 0) throw new Error(`ended by themselves: ${fleet.deserters.join('; ')}`);
      figures.push(await takeFigures(site, fleet, beganAt));
      await site.closeSessions();
      say(`round ${figures.length}: run ${run.id} is as its source\n`);
    }
    const problems = report(figures, faults);
    if (problems.length > 0) throw new Error(problems.join('\n'));
    rmSync(fleet.logs, { recursive: true });
    return 0;
  } catch (error) {
    say(`FAILED: ${(error as Error).message}`);
    console.log(`\nrepeat with: npm run soak -- --seed ${seed} --minutes ${minutes}\nlogs: ${fleet.logs}`);
    return 1;
  } finally {
    await fleet.end();
    await site.close();
  }
}

const program = new Command('soak')
  .description('Migrates in rounds under a random mix of faults, and holds every round against its source.')
  .option('--seed <number>', 'repeats a mix of faults', positive, 1 + (Date.now() % 1_000_000))
  .option('--minutes <number>', 'how long, at least; a round is played to its end', positive, 2)
  .action(async (options: SoakOptions) => {
    process.exitCode = await soak(options);
  });

await program.parseAsync();
