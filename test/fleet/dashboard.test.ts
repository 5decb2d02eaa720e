import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openQueueBackend } from '../../jobs/backend.ts';
import { copyJob } from '../../jobs/copy.ts';
import { ring } from '../../jobs/doorbell.ts';
import { openQueues } from '../../jobs/queues.ts';
import { type Dashboard, serveDashboard } from '../../ops/dashboard/server.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { inPage, visit } from '../chromium.ts';
import { describeWith } from '../describe-with.ts';
import { until } from '../fleet-processes.ts';
import { createLedger } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';
import { type RedisServer, startRedis } from '../redis.ts';

/** A target with a run under way, one that failed, and doorbells that wait. */
async function furnish(target: TestDatabase, ledger: Ledger, queueUrl?: string): Promise<string> {
  const { rows } = await target.query(
    `insert into rowfleet.run (name, kind, plan, plan_hash, plan_file, state, phase, error) values
       ('before', 'migrate', '{}', 'h', 'plan.yaml', 'failed', 'copy', '{"code": "22P02", "message": "it broke <b>here</b>"}'),
       ('chunks & co', 'migrate', '{}', 'h', 'plan.yaml', 'running', 'copy', null)
     returning id`,
  );
  const run = rows[1]!.id;
  await target.exec(`
    insert into rowfleet.flow (run_id, name, ordinal, target, cut)
      values (${run}, 'texts', 0, 'public.unified', '{"blocks": [100], "leaf": 0, "nextBlock": 60}');
    insert into rowfleet.task (run_id, kind, flow, relation, spec, state, attempt, failures, rows_in, rows_out, bytes, seconds, ended_at) values
      (${run}, 'batch', 'texts', 'public.unified', '{"leaf": 0, "fromBlock": 0, "toBlock": 40}', 'done', 1, 1, 1234, 1234, 5678, 2, clock_timestamp()),
      (${run}, 'batch', 'texts', 'public.unified', '{"leaf": 0, "fromBlock": 40, "toBlock": 60}', 'running', 1, 0, null, null, null, null, null);
    insert into rowfleet.attempt (task_id, number, run_id, worker, backend_pid, backend_start, lease_until)
      select id, 1, run_id, 'w', 1, now(), now() + interval '1 h' from rowfleet.task where state = 'running';
    insert into rowfleet.finding (run_id, check_name, relation, summary) values (${run}, 'counts', 'public.unified', 'one row is missing');
  `);
  const backend = await openQueueBackend(queueUrl, ledger);
  const queues = openQueues(backend);
  for (const task of ['71', '72', '73']) await ring(queues.copy, copyJob.name, { run, task }, 1);
  await queues.close();
  return run;
}

/** A worker of each kind that was seen `ago` seconds ago. */
const seen = (target: TestDatabase, kinds: string[], ago: number) =>
  target.query(
    `insert into rowfleet.worker (id, kind, host, pid, seen_at)
     select k || $2::int, k, 'h', 1, clock_timestamp() - make_interval(secs => $2::int) from unnest($1::text[]) k`,
    [kinds, ago],
  );

/** A request with headers that fetch does not let one choose. */
function ask(url: string, options: { method?: string; headers?: Record<string, string> } = {}) {
  return new Promise<{ status: number; text: string; headers: Record<string, unknown> }>(
    (resolve, reject) => {
      const sent = request(url, options, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode!, text, headers: response.headers }));
      });
      sent.on('error', reject).end();
    },
  );
}

describe('the dashboard', () => {
  let target: TestDatabase;
  let ledger: Ledger;
  let dashboard: Dashboard;
  let run: string;
  const at = (path: string) => new URL(path, dashboard.url).href;

  beforeAll(async () => {
    target = await createDatabase(18);
    ledger = await createLedger(target);
    run = await furnish(target, ledger);
    dashboard = await serveDashboard({ targetUrl: target.url, port: 0 });
  });

  afterAll(async () => {
    await dashboard?.close();
    await ledger.close();
    await target.drop();
  });

  test('/ lists the runs, with the flows of what is under way', async () => {
    const { status, text } = await ask(at('/'));
    expect(status).toBe(200);
    expect(text).toContain('chunks &amp; co');
    expect(text).toContain('<td>texts</td>');
    expect(text).toContain('1,234');
    expect(text).toContain('22P02: it broke &lt;b&gt;here&lt;/b&gt;');
    expect(text).toContain('1 finding');
  });

  test('/metrics has the figures of the ledger', async () => {
    const { text, headers } = await ask(at('/metrics'));
    const labels = `run="${run}",plan="chunks & co",kind="batch",flow="texts"`;
    expect(headers['content-type']).toContain('text/plain');
    expect(text).toContain(`rowfleet_run_rows_total{${labels}} 1234\n`);
    expect(text).toContain(`rowfleet_run_bytes_total{${labels}} 5678\n`);
    expect(text).toContain(`rowfleet_run_tasks{${labels},state="done"} 1\n`);
    expect(text).toContain(`rowfleet_run_tasks{${labels},state="running"} 1\n`);
    expect(text).toContain(`rowfleet_run_attempts_running{${labels}} 1\n`);
    expect(text).toContain(`rowfleet_run_failed_attempts_total{${labels}} 1\n`);
    expect(text).toContain(`rowfleet_run_findings{run="${run}",plan="chunks & co"} 1\n`);
    expect(text).toContain(
      `rowfleet_run_state{run="${run}",plan="chunks & co",state="running",phase="copy"} 1\n`,
    );
    expect(text).toContain('rowfleet_workers{kind="loader"} 0\n');
  });

  test('/health asks for a fleet only while a run is under way', async () => {
    const health = async () => {
      const { status, text } = await ask(at('/health'));
      return { http: status, ...JSON.parse(text) };
    };
    await seen(target, ['scheduler', 'loader', 'validator'], 11);
    expect(await health()).toMatchObject({ http: 503, status: 'failing', ledger: 'ok', queue: 'ok' });
    await seen(target, ['scheduler', 'loader'], 0);
    expect(await health()).toMatchObject({
      http: 503,
      workers: { scheduler: 1, loader: 1, validator: 0 },
      problems: ['a run is under way and no validator was seen for 10 seconds'],
    });
    await seen(target, ['validator'], 0);
    expect(await health()).toMatchObject({ http: 200, status: 'ok', activeRuns: 1, problems: [] });
    await target.exec(
      `delete from rowfleet.worker; update rowfleet.run set state = 'stopped' where id = ${run}`,
    );
    expect(await health()).toMatchObject({ http: 200, status: 'ok', activeRuns: 0 });
    await target.exec(`update rowfleet.run set state = 'running' where id = ${run}`);
  });

  test('Bull Board is found with a slash behind its address too', async () => {
    const { status, headers } = await ask(at('/queues/'));
    expect({ status, location: headers.location }).toEqual({ status: 302, location: '/queues' });
  });

  test('Bull Board has the four queues and their jobs', async () => {
    const { text } = await ask(
      at('/queues/api/queues?activeQueue=copy&status=waiting&page=1&jobsPerPage=10'),
    );
    const { queues } = JSON.parse(text);
    expect(queues.map((queue: { name: string }) => queue.name)).toEqual([
      'copy',
      'build',
      'validate',
      'control',
    ]);
    expect(queues[0].counts.waiting).toBe(3);
    expect(queues[0].jobs.map((job: { data: unknown }) => job.data)).toContainEqual({ run, task: '72' });
    expect(queues.map((queue: { readOnlyMode: boolean }) => queue.readOnlyMode)).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  test('nothing else can be changed from a page', async () => {
    const headers = { 'content-type': 'text/plain', origin: 'http://elsewhere.example' };
    for (const [method, path] of [
      ['PUT', '/queues/api/queues/copy/pause'],
      ['POST', '/queues/api/queues/copy/add'],
      ['PUT', '/queues/api/queues/control/retry/failed'],
      ['PUT', '/queues/api/queues/copy/retry/completed'],
      ['PUT', '/queues/api/queues/copy/task-72-1/clean'],
      ['POST', '/queues/api/queues/copy/task-72-1/retry'],
    ] as const) {
      expect((await ask(at(path), { method, headers })).status).toBe(405);
    }
    const { text } = await ask(at('/queues/api/queues?activeQueue=copy&status=waiting'));
    expect(JSON.parse(text).queues[0]).toMatchObject({ isPaused: false, counts: { waiting: 3 } });
  });

  test('on loopback only loopback names are answered', async () => {
    const status = async (host: string) => (await ask(at('/metrics'), { headers: { host } })).status;
    const { port } = new URL(dashboard.url);
    expect(await Promise.all(['localhost:1234', `127.0.0.1:${port}`, '[::1]'].map(status))).toEqual([
      200, 200, 200,
    ]);
    expect(
      await Promise.all(
        ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:80', '10.0.0.1'].map(status),
      ),
    ).toEqual([403, 403, 403, 403]);
  });

  test('every answer forbids what is foreign', async () => {
    for (const path of ['/', '/queues', '/queues/static/js/nothing.js', '/metrics', '/health', '/nowhere']) {
      const { headers } = await ask(at(path));
      expect(headers['content-security-policy'], path).toMatch(/^default-src 'none'; script-src 'self';/);
      expect(headers['x-content-type-options'], path).toBe('nosniff');
      expect(headers['x-powered-by'], path).toBeUndefined();
    }
    expect((await ask(at('/nowhere'))).status).toBe(404);
    expect((await ask(at('/queues'))).text).not.toMatch(/href="https?:/);
  });

  test('a port that is taken is said', async () => {
    const port = Number(new URL(dashboard.url).port);
    await expect(serveDashboard({ targetUrl: target.url, port })).rejects.toMatchObject({
      code: 'DASHBOARD_PORT',
      kind: 'usage',
    });
  });
});

/** A failed run with two failed batches, whose jobs have failed as well. Returns the run and its batches. */
async function furnishFailed(target: TestDatabase, ledger: Ledger) {
  const { rows: runs } = await target.query<{ id: string }>(
    `insert into rowfleet.run (name, kind, plan, plan_hash, plan_file, state, phase) values
       ('broken', 'migrate', '{"flows": [], "targets": []}', 'h', 'plan.yaml', 'failed', 'copy') returning id::text`,
  );
  const run = runs[0]!.id;
  const { rows: tasks } = await target.query<{ id: string }>(
    `insert into rowfleet.task (run_id, kind, flow, relation, spec, state, attempt, failures, mode, error)
     select $1, 'batch', 'texts', 'public.unified', '{"leaf": 0, "fromBlock": 0, "toBlock": 40}', 'failed', 4, 4, 'corner', '{}'
       from generate_series(1, 2) returning id::text`,
    [run],
  );
  const backend = await openQueueBackend(undefined, ledger);
  const queues = openQueues(backend);
  const worker = backend.openWorker(
    'copy',
    async () => {
      throw new Error('22P02: it broke');
    },
    { concurrency: 1 },
  );
  for (const { id } of tasks) await ring(queues.copy, copyJob.name, { run, task: id }, 4);
  await until('both jobs have failed', async () => (await queues.copy.getFailedCount()) === 2);
  await worker.close();
  return { run, tasks: tasks.map(({ id }) => id), queues };
}

describe('Retry on the board', () => {
  let target: TestDatabase;
  let ledger: Ledger;
  let dashboard: Dashboard;
  let failed: Awaited<ReturnType<typeof furnishFailed>>;

  beforeEach(async () => {
    target = await createDatabase(18);
    ledger = await createLedger(target);
    dashboard = await serveDashboard({ targetUrl: target.url, port: 0 });
    failed = await furnishFailed(target, ledger);
  });

  afterEach(async () => {
    await failed.queues.close();
    await dashboard.close();
    await ledger.close();
    await target.drop();
  });

  const put = (path: string, headers: Record<string, string> = {}) =>
    ask(new URL(path, dashboard.url).href, {
      method: 'PUT',
      headers: { origin: new URL(dashboard.url).origin, ...headers },
    });
  const states = async () =>
    (
      await target.query(
        `select t.state, t.failures, t.mode, r.state as run from rowfleet.task t join rowfleet.run r on r.id = t.run_id order by t.id`,
      )
    ).rows.map(({ state, failures, mode, run }) => `${run} ${state} ${failures} ${mode}`);
  const events = async () => (await target.query('select actor, message from rowfleet.event')).rows;
  const untouched = ['failed failed 4 corner', 'failed failed 4 corner'];
  const requeued = ['running waiting 0 corner', 'running waiting 0 corner'];

  test('requeues what failed, with the audit, and leaves the jobs to the scheduler', async () => {
    const { status, text } = await put('/queues/api/queues/copy/retry/failed');
    expect([status, JSON.parse(text)]).toEqual([200, { retried: 2, skipped: 0 }]);
    expect(await states()).toEqual(requeued);
    expect(await events()).toEqual([{ actor: 'rowfleet web', message: 'requeued all 2 that failed' }]);
    expect(await failed.queues.copy.getFailedCount()).toBe(2);
    expect(await failed.queues.control.getWaitingCount()).toBe(1);
    // Nothing is left to retry.
    const again = await put('/queues/api/queues/copy/retry/failed');
    expect(JSON.parse(again.text)).toEqual({ retried: 0, skipped: 2 });
  });

  test('requeues one batch as the command does, and says why it does not', async () => {
    const [first, second] = failed.tasks;
    const retry = (task: string) => put(`/queues/api/queues/copy/task-${task}-4/retry`);
    const refused = await retry(first!);
    expect([refused.status, JSON.parse(refused.text).message]).toEqual([
      409,
      expect.stringContaining(`batch ${second} failed too`),
    ]);
    expect(await states()).toEqual(untouched);
    await target.query('delete from rowfleet.task where id = $1', [second]);
    expect(await retry(first!)).toMatchObject({ status: 204, text: '' });
    expect(await states()).toEqual(requeued.slice(1));
    expect((await retry(first!)).status).toBe(409);
    expect((await retry('999')).status).toBe(404);
  });

  test('hears nobody but its own pages', async () => {
    const all = '/queues/api/queues/copy/retry/failed';
    const others: Record<string, string>[] = [
      { origin: 'http://elsewhere.example' },
      { origin: 'null' },
      { origin: '' },
      { 'sec-fetch-site': 'cross-site' },
    ];
    for (const headers of others) expect((await put(all, headers)).status).toBe(403);
    expect(await states()).toEqual(untouched);
  });

  test('is not offered to other machines, since there is no login', async () => {
    const open = await serveDashboard({ targetUrl: target.url, port: 0, host: '0.0.0.0' });
    try {
      const { port } = new URL(open.url);
      const origin = `http://127.0.0.1:${port}`;
      const headers = { origin };
      const { status } = await ask(`${origin}/queues/api/queues/copy/retry/failed`, {
        method: 'PUT',
        headers,
      });
      expect(status).toBe(405);
      const { text } = await ask(`${origin}/queues/api/queues`);
      expect(JSON.parse(text).queues[0]).toMatchObject({ readOnlyMode: true, allowRetries: false });
    } finally {
      await open.close();
    }
    expect(await states()).toEqual(untouched);
  });
});

test('a ledger that is gone is said without internals', async () => {
  const target = await createDatabase(18);
  const dashboard = await serveDashboard({ targetUrl: target.url, port: 0 });
  await target.drop();
  try {
    const page = await ask(dashboard.url);
    expect(page.status).toBe(503);
    expect(page.text).toContain('The ledger does not answer');
    expect(page.text).not.toContain(target.name);
    const health = await ask(new URL('/health', dashboard.url).href);
    expect(health.status).toBe(503);
    expect(JSON.parse(health.text)).toMatchObject({ status: 'failing', ledger: 'unreachable' });
    const queues = await ask(new URL('/queues/api/queues', dashboard.url).href);
    expect(queues.text).not.toContain(target.name);
  } finally {
    await dashboard.close();
  }
});

describeWith('chromium', 'the dashboard in a browser', () => {
  test('a request to elsewhere would be seen', async () => {
    const page = '<link href="https://fonts.elsewhere.invalid/css" rel="stylesheet">';
    const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(page));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    const { requests } = await visit(`http://127.0.0.1:${port}/`);
    server.close();
    expect(requests).toContain('https://fonts.elsewhere.invalid/css');
  });

  test('shows runs and queues, and asks nobody but this machine', async () => {
    const target = await createDatabase(18);
    const ledger = await createLedger(target);
    await furnish(target, ledger);
    const dashboard = await serveDashboard({ targetUrl: target.url, port: 0 });
    const screenshots = process.env.ROWFLEET_SCREENSHOTS;
    const look = (path: string, name: string, ms?: number) => {
      const screenshot = screenshots && `${screenshots}/${name}.png`;
      return visit(new URL(path, dashboard.url).href, { ms, screenshot });
    };
    try {
      const runs = await look('/', 'runs');
      const board = await look('/queues', 'queues', 5_000);
      const copy = await look('/queues/queue/copy?status=waiting', 'copy', 5_000);
      expect(runs.dom).toContain('chunks &amp; co');
      for (const name of ['copy', 'build', 'validate', 'control'])
        expect(board.dom).toContain(`/queue/${name}`);
      expect(copy.dom).toContain('task-72-1');
      for (const { requests } of [runs, board, copy]) {
        expect(requests).not.toEqual([]);
        expect(
          requests.filter((address) => !/^data:/.test(address) && !address.startsWith(dashboard.url)),
        ).toEqual([]);
      }
    } finally {
      await dashboard.close();
      await ledger.close();
      await target.drop();
    }
  });
});

/** Clicks Retry on the first job and agrees; returns how many buttons the job and its queue show. */
const clickRetry = `(async () => {
  const found = async (find) => {
    for (let i = 0; i < 400; i++) {
      const element = find();
      if (element) return element;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error('not found: ' + find);
  };
  const icon = await found(() => document.querySelector('ul[class*="jobActions-"] .lucide-refresh-cw'));
  const shown = [...document.querySelectorAll('ul[class*="Actions-"] > li')].filter((li) => li.offsetParent !== null).length;
  icon.closest('button').click();
  const agree = await found(() => [...document.querySelectorAll('[role="dialog"] button, [role="alertdialog"] button')].find((button) => /confirm/i.test(button.textContent)));
  const answered = new Promise((resolve) => new PerformanceObserver((list) => {
    if (list.getEntries().some(({ name }) => name.endsWith('/retry'))) resolve();
  }).observe({ type: 'resource' }));
  agree.click();
  await answered;
  return shown;
})()`;

describeWith('chromium', 'Retry in a browser', () => {
  test('is a click that requeues the batch; nothing else is offered', async () => {
    const target = await createDatabase(18);
    const ledger = await createLedger(target);
    const dashboard = await serveDashboard({ targetUrl: target.url, port: 0 });
    const { tasks, queues } = await furnishFailed(target, ledger);
    try {
      await target.query('delete from rowfleet.task where id = $1', [tasks[0]]);
      const job = `/queues/queue/copy/task-${tasks[1]}-4?status=failed`;
      expect(await inPage<number>(new URL(job, dashboard.url).href, clickRetry)).toBe(1);
      const { rows } = await target.query('select state, failures from rowfleet.task');
      expect(rows).toEqual([{ state: 'waiting', failures: 0 }]);
    } finally {
      await queues.close();
      await dashboard.close();
      await ledger.close();
      await target.drop();
    }
  });
});

describeWith('redis', 'the dashboard over Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  test('shows the jobs, and says when Redis is gone', async () => {
    const target = await createDatabase(18);
    const ledger = await createLedger(target);
    await furnish(target, ledger, redis.url);
    await target.exec(`update rowfleet.run set state = 'stopped' where state = 'running'`);
    const dashboard = await serveDashboard({ targetUrl: target.url, queueUrl: redis.url, port: 0 });
    const at = (path: string) => new URL(path, dashboard.url).href;
    try {
      const { text } = await ask(at('/queues/api/queues?activeQueue=copy&status=waiting'));
      expect(JSON.parse(text).queues[0]).toMatchObject({ name: 'copy', counts: { waiting: 3 } });
      expect((await ask(at('/health'))).status).toBe(200);
      await redis.kill();
      const { status, text: gone } = await ask(at('/health'));
      expect([status, JSON.parse(gone)]).toMatchObject([503, { ledger: 'ok', queue: 'unreachable' }]);
    } finally {
      await dashboard.close();
      await ledger.close();
      await target.drop();
    }
    // Nothing that was closed while Redis was gone comes back with it: it would within two seconds.
    await redis.restartEmpty();
    await sleep(2_500);
    const client = new Redis(redis.url);
    expect(await client.info('clients')).toContain('connected_clients:1\r\n');
    client.disconnect();
  });
});
