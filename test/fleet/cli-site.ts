import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FleetSite, siteEnvironment, spawnCli } from '../fleet-processes.ts';
import { createDatabase } from '../postgres.ts';

/** A pair of databases with a plan between them, and the command line to work on them. */
export interface CliSite extends FleetSite {
  plan: string;
  /** Starts a command. */
  start(args: string[], env?: NodeJS.ProcessEnv): ReturnType<typeof spawnCli>;
  /** Runs a command to its end. */
  run(args: string[], env?: NodeJS.ProcessEnv): Promise<{ code: number | null; out: string; err: string }>;
  /** Ends what was started, and removes the databases. */
  drop(): Promise<void>;
}

const sourceSchema = `
  create table authors (id int primary key, name text not null);
  create table books (id int primary key, author_id int references authors, title text, price numeric(8,2));
  insert into authors select n, 'author ' || n from generate_series(1, 50) n;
  insert into books select n, 1 + n % 50, 'book ' || n, n / 7.0 from generate_series(1, 4000) n;`;

const targetSchema = `
  create table writers (id bigint primary key, name text not null);
  create table books (id int primary key, author_id int constraint books_author_fkey references writers,
    title text, price numeric(8,2));
  create index books_title_idx on books (title);`;

const databases = 'source: ${SOURCE_DATABASE_URL}\ntarget: ${TARGET_DATABASE_URL}';

const planText = `name: library
${databases}
schema: [target.sql]
migration: {batch_size: 500, parallel_workers: 1}
tables: [books]
flows:
  - name: writers
    from: authors a
    to: writers
    columns: {id: a.id, name: upper(a.name)}
`;

/** Creates source and target, of different versions, and a plan file beside its DDL. */
export async function createCliSite(): Promise<CliSite> {
  const [source, target] = [await createDatabase(15), await createDatabase(18)];
  await source.exec(sourceSchema);
  const folder = mkdtempSync(join(tmpdir(), 'rowfleet-cli-'));
  const plan = join(folder, 'plan.yaml');
  writeFileSync(plan, planText);
  writeFileSync(join(folder, 'target.sql'), targetSchema);
  const site = { source, target };
  const started: ReturnType<typeof spawnCli>[] = [];
  const start = (args: string[], env: NodeJS.ProcessEnv = {}) => {
    const cli = spawnCli(args, { ...siteEnvironment(site), ...env });
    started.push(cli);
    return cli;
  };
  return {
    ...site,
    plan,
    start,
    async run(args, env) {
      const cli = start(args, env);
      return { code: await cli.exited, out: cli.output(), err: cli.log() };
    },
    async drop() {
      for (const cli of started) cli.kill('SIGKILL');
      await Promise.all(started.map((cli) => cli.exited));
      await source.drop();
      await target.drop();
    },
  };
}
