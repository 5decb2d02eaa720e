// biome-ignore-all lint/suspicious/noTemplateCurlyInString: plans hold ${…} of their own.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { buildProgram } from '../../ops/cli/program.ts';
import { runCommandLine } from '../../ops/cli/run.ts';
import { parsePlan } from '../../src/plan/read/parse.ts';

/** Runs a command line in this process: what it printed and the exit code it set. */
async function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  const written = { out: '', err: '' };
  const keep = (stream: 'out' | 'err') => (chunk: unknown) => {
    written[stream] += chunk;
    return true;
  };
  vi.stubEnv('NO_COLOR', '1');
  for (const name of ['SOURCE_DATABASE_URL', 'TARGET_DATABASE_URL', 'QUEUE_URL']) vi.stubEnv(name, env[name]);
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(keep('out')),
    vi.spyOn(process.stderr, 'write').mockImplementation(keep('err')),
  ];
  const before = process.exitCode;
  try {
    await runCommandLine(['node', 'rowfleet', ...args]);
    return { code: process.exitCode, ...written };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
    vi.unstubAllEnvs();
  }
}

function aFile(text: string): string {
  const file = join(mkdtempSync(join(tmpdir(), 'rowfleet-plan-')), 'plan.yaml');
  writeFileSync(file, text);
  return file;
}

describe('the command line', () => {
  it('ends 2 and suggests what was meant', async () => {
    const verb = await run(['migrat', '-c', 'plan.yaml']);
    expect(verb).toMatchObject({ code: 2, out: '', err: expect.stringContaining('Did you mean migrate?') });
    const option = await run(['status', '--jsn']);
    expect(option).toMatchObject({ code: 2, out: '', err: expect.stringContaining('Did you mean --json?') });
  });

  it('says the next step of what it cannot read, and knows a plan where it stands alone', async () => {
    expect((await run(['status', '--jsn'])).err).toMatch(/\n {2}→ rowfleet status --help\n$/);
    expect((await run(['migrate', 'plan.yaml'])).err).toMatch(/\n {2}→ did you mean -c plan\.yaml\?\n$/);
    expect((await run(['plan', 'explain'])).err).toMatch(/→ rowfleet plan explain --help\n$/);
    expect((await run(['plan'])).err).not.toContain('→');
    expect((await run(['resume', 'plan.yaml'])).err).toContain('→ did you mean -c plan.yaml?');
  });

  it('fits what is wrong into a terminal, and leaves lines alone that a program reads', async () => {
    const { isTTY, columns } = process.stderr;
    const file = aFile(
      'name: x\nflows: [{name: a, from: b c, to: d, columns: {e: f}, transfrom: a/very/long/name/of/a/file/that.ts, jion: x}]',
    );
    const lines = async (as: { isTTY?: boolean; columns?: number }) => {
      Object.assign(process.stderr, as);
      return (await run(['plan', 'explain', '-c', file])).err.split('\n');
    };
    try {
      const inTerminal = await lines({ isTTY: true, columns: 60 });
      expect(inTerminal.filter((line) => line.length > 60 && line.trim().includes(' '))).toEqual([]);
      const piped = await lines({ isTTY: false });
      expect(inTerminal.length).toBeGreaterThan(piped.length);
      expect(inTerminal.join(' ').replace(/\s+/g, ' ')).toBe(piped.join(' ').replace(/\s+/g, ' '));
    } finally {
      Object.assign(process.stderr, { isTTY, columns });
    }
  });

  it('refuses verbs that are not built yet by name', async () => {
    for (const verb of ['rollback', 'compatibility-report']) {
      const refused = await run([verb, '-c', 'plan.yaml', '--json']);
      expect(refused.code).toBe(2);
      expect(JSON.parse(refused.out).error).toMatchObject({
        code: 'NOT_BUILT',
        message: `rowfleet ${verb} is not built yet`,
      });
    }
  });

  it.each([
    [[], 'requeue needs to know what'],
    [['--flow', 'a', '--reload', '--failed'], 'what failed has not been loaded'],
    [['--failed', '--batch', '7'], 'exclude each other'],
    [['--range', '1..2'], 'add --reload'],
    [['--range', '1-2', '--reload'], '"1-2" is not a range'],
    [['--range', '..', '--reload'], '".." is not a range'],
    [['--batch', 'x'], '"x" is not the id of a batch'],
    [['--reload'], 'give --flow, --batch or --range'],
  ])('requeue %j says what is missing', async (args, message) => {
    const refused = await run(['requeue', '--run', '1', ...args]);
    expect(refused).toMatchObject({ code: 2, out: '', err: expect.stringContaining(message) });
  });

  it('prints the version, and a plan that is valid as it stands', async () => {
    const version = await run(['--version']);
    expect(version).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    const config = await run(['generate-config']);
    expect(config.code).toBe(0);
    expect(parsePlan(config.out, 'plan.yaml').problems).toEqual([]);
  });

  it('lists all problems of a plan with their places and hints, on stderr or as JSON', async () => {
    const file = aFile(
      'name: x\nsource: postgres://a@h/d\nflows:\n  - name: f\n    form: t x\n    to: u\n    columns: {}\n',
    );
    const plain = await run(['migrate', '-c', file]);
    expect(plain).toMatchObject({ code: 2, out: '' });
    expect(plain.err).toMatch(/^error: the plan has \d problems \[PLAN_INVALID\]\n/);
    expect(plain.err).toMatch(/plan\.yaml:5 flows\[0\]\.form: .*\n {6}→ Did you mean from\?/);
    const json = await run(['migrate', '-c', file, '--json']);
    expect(json).toMatchObject({ code: 2, err: '' });
    const { type, error } = JSON.parse(json.out);
    expect(type).toBe('error');
    expect(error.problems.length).toBeGreaterThan(1);
    expect(error.problems[0]).toMatchObject({ severity: 'error', at: { file, line: expect.any(Number) } });
  });

  it('says what is missing: the file, a variable of the plan, the target', async () => {
    const file = await run(['validate', '-c', '/nowhere/plan.yaml']);
    expect(file).toMatchObject({
      code: 2,
      err: expect.stringContaining('/nowhere/plan.yaml does not exist'),
    });
    const variable = await run([
      'migrate',
      '-c',
      aFile('source: ${SOURCE_DATABASE_URL}\ntarget: ${TARGET_DATABASE_URL}\n'),
    ]);
    expect(variable).toMatchObject({
      code: 2,
      err: expect.stringContaining('${SOURCE_DATABASE_URL}, which is not in the environment'),
    });
    const target = await run(['loader']);
    expect(target).toMatchObject({ code: 2, err: expect.stringContaining('TARGET_DATABASE_URL is not set') });
  });

  it('says why a database cannot be reached, without its password', async () => {
    const file = aFile(
      'source: postgres://u:s3cret@127.0.0.1:1/old\ntarget: postgres://u:s3cret@127.0.0.1:1/new\n',
    );
    for (const args of [
      ['migrate', '-c', file],
      ['status', '-c', file, '--json'],
    ]) {
      const { code, out, err } = await run(args);
      expect(code).toBe(2);
      expect(out + err).toContain('cannot connect to 127.0.0.1:1/new: nothing listens there');
      expect(out + err).not.toContain('s3cret');
    }
  });

  it('refuses numbers that make no sense', async () => {
    const target = { TARGET_DATABASE_URL: 'postgres://u@127.0.0.1:1/new' };
    const loader = await run(['loader', '--concurrency', '0'], target);
    expect(loader).toMatchObject({
      code: 2,
      err: expect.stringContaining('--concurrency must be a number from 1 to 64, or a range such as 1-8'),
    });
    const status = await run(['status', 'latest'], target);
    expect(status).toMatchObject({
      code: 2,
      err: expect.stringContaining('"latest" is not the id of a run'),
    });
  });
});

const { commands } = await buildProgram();

describe('the help', () => {
  it.each(commands.map((command) => [command.name(), command] as const))('of %s', (name, command) => {
    let text = '';
    command.configureOutput({
      writeOut: (chunk) => {
        text += chunk;
      },
    });
    command.outputHelp();
    expect(text).toMatch(/--json/);
    expect(text).toMatch(/--no-color/);
    expect(command.summary()).not.toBe('');
    if (!command.summary().includes('not built yet'))
      expect(text).toMatch(new RegExp(`Example:\n.*rowfleet ${name}`));
  });
});
