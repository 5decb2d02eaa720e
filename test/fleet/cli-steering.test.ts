import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../ops/cli/run.ts';
import { until } from '../fleet-processes.ts';
import { type CliSite, createCliSite } from './cli-site.ts';

let site: CliSite;

beforeEach(async () => {
  site = await createCliSite();
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await site.drop();
});

/** Runs a command that ends by itself in this process, which is quicker than one of its own. */
async function run(...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const said = { out: '', err: '' };
  const keep = (stream: 'out' | 'err') => (chunk: unknown) => {
    said[stream] += chunk;
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(keep('out')),
    vi.spyOn(process.stderr, 'write').mockImplementation(keep('err')),
  ];
  const before = process.exitCode;
  try {
    await runCommandLine(['node', 'rowfleet', ...args, '-c', site.plan]);
    return { code: process.exitCode, ...said };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
}

it('a run is paused, looked at, set and resumed from the command line', async () => {
  vi.stubEnv('SOURCE_DATABASE_URL', site.source.url);
  vi.stubEnv('TARGET_DATABASE_URL', site.target.url);
  vi.stubEnv('QUEUE_URL', '');
  const migrate = site.start(['migrate', '-c', site.plan, '--attach', '--json']);
  await until('the run has begun', () => migrate.output().includes('"type":"started"'));

  expect(await run('pause', '--reason', 'backup')).toMatchObject({
    code: 0,
    out: expect.stringContaining(`run 1 is paused: what is under way runs to its end\n  rowfleet resume -c `),
  });
  const again = await run('pause', '1');
  expect(again.out).toMatch(/^run 1 is paused already, since \d\d:\d\d:\d\d: paused by \S+: backup\n/);
  expect((await run('pause', '--flow', 'writers', '--json')).out).toBe(
    '{"type":"paused","run":"1","flow":"writers","already":false}\n',
  );

  const status = await run('status', '1');
  expect(status.out).toMatch(/\n {2}held since \d\d:\d\d:\d\d \(\d:\d\d\): paused by \S+: backup\n/);
  expect(status.out).toMatch(/\n {2}flow writers held since /);
  const { holds } = JSON.parse((await run('status', '1', '--json')).out);
  expect(holds).toMatchObject([
    { flow: null, kind: 'pause', reason: expect.stringContaining('backup'), since: expect.any(String) },
    { flow: 'writers', kind: 'pause' },
  ]);

  expect((await run('set')).out).toMatch(
    /^run 1\n {2}concurrency +every slot of the fleet +default\n {2}batch_seconds +2 +default\n {2}max_mb +256 +default\n$/,
  );
  expect((await run('set', '1', 'concurrency=1', 'max_mb=8')).out).toMatch(
    /concurrency +1 +set for this run\n(.*\n) +max_mb +8 +set for this run\n$/,
  );
  expect(await run('set', 'concurency=1')).toMatchObject({
    code: 2,
    err: expect.stringContaining('did you mean concurrency?'),
  });
  expect(await run('cancel', '--flow', 'writers')).toMatchObject({
    code: 2,
    err: expect.stringContaining('FLOW_NOT_BEGUN'),
  });

  expect((await run('resume', '--flow', 'writers')).out).toBe('run 1: lifted the pause of flow writers\n');
  expect((await run('resume', '--flow', 'writers')).out).toBe(
    'run 1: flow writers is neither paused nor cancelled\n',
  );
  // Nobody is there to go on with it, so this brings a fleet.
  const resumed = await site.run(['resume', '-c', site.plan]);
  expect({ code: resumed.code, err: resumed.err }).toEqual({ code: 0, err: '' });
  expect(await migrate.exited).toBe(0);
  expect((await run('status', '1')).out).toContain('\n  set      concurrency=1 max_mb=8\n');
});
