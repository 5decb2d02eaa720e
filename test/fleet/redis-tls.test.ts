import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { issue, makeAuthority } from '../certificates.ts';
import { compareDatabases } from '../compare.ts';
import { describeWith } from '../describe-with.ts';
import { type FleetSite, siteEnvironment, spawnCli, until } from '../fleet-processes.ts';
import { createDatabase } from '../postgres.ts';
import { freePort } from '../redis.ts';

describeWith('redis', 'a queue in Redis behind TLS', () => {
  let folder: string;
  let authority: ReturnType<typeof makeAuthority>;
  let redis: ReturnType<typeof spawn>;
  let site: FleetSite;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rowfleet-redis-tls-'));
    await chmod(folder, 0o755);
    authority = makeAuthority(folder, 'authority');
    const { cert, key } = issue(folder, authority, 'redis', 'localhost', 'DNS:localhost');
    const port = await freePort();
    const tls = ['--tls-port', String(port), '--tls-cert-file', cert, '--tls-key-file', key];
    const rest = [
      '--tls-ca-cert-file',
      authority.cert,
      '--tls-auth-clients',
      'no',
      '--save',
      '',
      '--dir',
      folder,
    ];
    redis = spawn(process.env.REDIS_SERVER ?? 'redis-server', ['--port', '0', ...tls, ...rest], {
      stdio: 'ignore',
    });
    await until('Redis speaks TLS', async () => {
      const socket = connect({ port, host: 'localhost', rejectUnauthorized: false });
      const answer = await Promise.race([
        once(socket, 'secureConnect').then(() => true),
        once(socket, 'error'),
      ]).catch(() => false);
      socket.destroy();
      return answer === true;
    });
    const queueUrl = `rediss://localhost:${port}`;
    site = { source: await createDatabase(15), target: await createDatabase(18), queueUrl };
    await site.source.exec(
      'create table item (id int primary key); insert into item select generate_series(1, 5000)',
    );
    await site.target.exec('create table item (id int primary key)');
  });

  afterAll(async () => {
    redis.kill('SIGKILL');
    await site.source.drop();
    await site.target.drop();
    await rm(folder, { recursive: true, force: true });
  });

  const migrate = (env: NodeJS.ProcessEnv) => {
    const plan = join(import.meta.dirname, 'redis-tls.yaml');
    return spawnCli(['migrate', '-c', plan], { ...siteEnvironment(site), ...env });
  };

  it('is not spoken to when its certificate is not trusted', async () => {
    const refused = migrate({});
    expect(await refused.exited).toBe(1);
    expect(refused.log()).toContain('QUEUE_UNREACHABLE');
    expect(refused.log()).toMatch(/certificate/);
  });

  it('serves a run when it is', async () => {
    const trusted = migrate({ NODE_EXTRA_CA_CERTS: authority.cert });
    expect({ code: await trusted.exited, log: trusted.log() }).toMatchObject({ code: 0 });
    expect(await compareDatabases(site.source, site.target)).toEqual([]);
  });
});
