import { chmod, chown, copyFile, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { type EmbeddedServer, startServer } from '../../ops/embedded/server.ts';
import { settledConfig } from '../../src/pg/client.ts';
import { type Endpoint, endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openPool, openSession, withSession } from '../../src/pg/session.ts';
import { type Certificate, issue, makeAuthority } from '../certificates.ts';
import { describeWith } from '../describe-with.ts';

let folder: string;
let server: EmbeddedServer;
let authority: Certificate;
let stranger: Certificate;
let guest: Certificate;

const databases = ['either', 'tls_only', 'plain_only', 'with_certificate'];
const passwordOfGuest = 'a secret p@ss/word';

/** Which databases want TLS, and which want a certificate too. */
const hba = `
host      postgres          postgres  127.0.0.1/32  password
host      either            guest     127.0.0.1/32  scram-sha-256
hostssl   tls_only          guest     127.0.0.1/32  scram-sha-256
hostnossl plain_only        guest     127.0.0.1/32  scram-sha-256
hostssl   with_certificate  guest     127.0.0.1/32  scram-sha-256 clientcert=verify-full
`;

async function install(certificate: Certificate): Promise<void> {
  const owner = await stat(join(folder, 'data'));
  const files = { 'server.crt': certificate.cert, 'server.key': certificate.key, 'root.crt': authority.cert };
  for (const [name, from] of Object.entries(files)) {
    const path = join(folder, 'data', name);
    await copyFile(from, path);
    await chown(path, owner.uid, owner.gid);
    await chmod(path, 0o600);
  }
}

/** Lets the server read its files again; a session that was opened after it knows them. */
async function reload(client: pg.Client): Promise<void> {
  const loaded = async () => (await client.query('select pg_conf_load_time()::text as at')).rows[0].at;
  const before = await loaded();
  await client.query('select pg_reload_conf()');
  await vi.waitUntil(async () => (await loaded()) !== before);
}

async function superuser<T>(run: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(server.superuserUrl);
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

const home = (name: string) => ({ HOME: join(folder, 'homes', name) });

function endpoint(
  database: string,
  query: Record<string, string>,
  options: { host?: string; home?: string } = {},
) {
  const parameters = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const url = `postgres://guest:${encodeURIComponent(passwordOfGuest)}@${options.host ?? '127.0.0.1'}:${server.port}/${database}`;
  return endpointFromUrl(`${url}?${parameters.join('&')}`, home(options.home ?? 'empty'));
}

/** The test run's own server, which has TLS off. */
function withoutTls(query: Record<string, string>): Endpoint {
  const url = new URL(inject('servers')[18].superuserUrl);
  url.search = new URLSearchParams(query).toString();
  return endpointFromUrl(url.href, home('empty'));
}

/** Connects and says, from the server's point of view, whether it is over TLS. */
async function connect(to: Endpoint): Promise<'tls' | 'plain'> {
  const session = await openSession(to, 'rowfleet tls test');
  try {
    const { rows } = await session.query(
      'select ssl from pg_catalog.pg_stat_ssl where pid = pg_backend_pid()',
    );
    return rows[0].ssl ? 'tls' : 'plain';
  } finally {
    await session.end();
  }
}

const refusal = (code: string) => expect.objectContaining({ name: 'RowfleetError', code });

describeWith('openssl', 'TLS to a real server', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rowfleet-tls-'));
    await chmod(folder, 0o755);
    authority = makeAuthority(folder, 'authority');
    stranger = makeAuthority(folder, 'stranger');
    guest = issue(folder, authority, 'guest', 'guest');
    await mkdir(join(folder, 'homes', 'empty'), { recursive: true });
    await mkdir(join(folder, 'homes', 'furnished', '.postgresql'), { recursive: true });
    await mkdir(join(folder, 'homes', 'wary', '.postgresql'), { recursive: true });
    const own = join(folder, 'homes', 'furnished', '.postgresql');
    await copyFile(authority.cert, join(own, 'root.crt'));
    await copyFile(guest.cert, join(own, 'postgresql.crt'));
    await copyFile(guest.key, join(own, 'postgresql.key'));
    await chmod(join(own, 'postgresql.key'), 0o600);
    await copyFile(stranger.cert, join(folder, 'homes', 'wary', '.postgresql', 'root.crt'));

    server = await startServer({ version: 18, dataDir: join(folder, 'data') });
    await install(issue(folder, authority, 'server', 'localhost', 'DNS:localhost'));
    await superuser(async (client) => {
      await client.query(`create role guest login password ${pg.escapeLiteral(passwordOfGuest)}`);
      for (const name of databases) await client.query(`create database ${name}`);
      await client.query("alter system set ssl_ca_file = 'root.crt'");
      await client.query('alter system set ssl = on');
      await writeFile(join(folder, 'data', 'pg_hba.conf'), hba);
      await reload(client);
    });
  });

  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test.each([
    // What each mode does at a server that offers TLS and takes either.
    ['either', 'disable', 'plain'],
    ['either', 'allow', 'plain'],
    ['either', 'prefer', 'tls'],
    ['either', 'require', 'tls'],
    // pg_hba.conf insists on TLS: allow turns to it, disable cannot.
    ['tls_only', 'disable', '28000'],
    ['tls_only', 'allow', 'tls'],
    ['tls_only', 'prefer', 'tls'],
    ['tls_only', 'require', 'tls'],
    // pg_hba.conf forbids it: prefer turns to plain, require does not.
    ['plain_only', 'disable', 'plain'],
    ['plain_only', 'allow', 'plain'],
    ['plain_only', 'prefer', 'plain'],
    ['plain_only', 'require', '28000'],
  ])('%s, sslmode=%s: %s', async (database, sslmode, outcome) => {
    const attempt = connect(endpoint(database, { sslmode }));
    if (outcome === '28000') await expect(attempt).rejects.toEqual(refusal(outcome));
    else expect(await attempt).toBe(outcome);
  });

  test('prefer is what nothing means', async () => {
    expect(await connect(endpoint('either', {}))).toBe('tls');
  });

  test.each(['prefer', 'allow', 'disable'])(
    'a server without TLS is spoken to in plain under %s',
    async (mode) => {
      expect(await connect(withoutTls({ sslmode: mode }))).toBe('plain');
    },
  );

  test.each(['require', 'verify-ca', 'verify-full'])(
    'a server without TLS is refused under %s',
    async (mode) => {
      const to = withoutTls({ sslmode: mode, sslrootcert: authority.cert });
      await expect(connect(to)).rejects.toEqual(refusal('TLS_UNAVAILABLE'));
    },
  );

  test('verify-ca proves the authority and not the name', async () => {
    const to = (root: Certificate) => endpoint('tls_only', { sslmode: 'verify-ca', sslrootcert: root.cert });
    expect(await connect(to(authority))).toBe('tls');
    await expect(connect(to(stranger))).rejects.toThrow(/not signed by an authority/);
  });

  test('verify-full proves the name too', async () => {
    const query = { sslmode: 'verify-full', sslrootcert: authority.cert };
    expect(await connect(endpoint('tls_only', query, { host: 'localhost' }))).toBe('tls');
    await expect(connect(endpoint('tls_only', query))).rejects.toEqual(
      refusal('ERR_TLS_CERT_ALTNAME_INVALID'),
    );
    const untrusted = connect(
      endpoint('tls_only', { ...query, sslrootcert: stranger.cert }, { host: 'localhost' }),
    );
    await expect(untrusted).rejects.toMatchObject({
      message: expect.stringContaining('not signed by an authority'),
    });
  });

  test('require with an authority verifies the chain, as libpq does', async () => {
    expect(await connect(endpoint('tls_only', { sslmode: 'require', sslrootcert: authority.cert }))).toBe(
      'tls',
    );
    const untrusted = connect(endpoint('tls_only', { sslmode: 'require', sslrootcert: stranger.cert }));
    await expect(untrusted).rejects.toMatchObject({
      message: expect.stringContaining('not signed by an authority'),
    });
    await expect(connect(endpoint('tls_only', { sslmode: 'require' }, { home: 'wary' }))).rejects.toThrow(
      /authority/,
    );
  });

  test('sslrootcert=system trusts what the machine trusts', async () => {
    const url = (authorities: Certificate) =>
      endpointFromUrl(
        `postgres://guest:${encodeURIComponent(passwordOfGuest)}@localhost:${server.port}/tls_only?sslrootcert=system`,
        { ...home('empty'), SSL_CERT_FILE: authorities.cert },
      );
    expect(await connect(url(authority))).toBe('tls');
    await expect(connect(url(stranger))).rejects.toThrow(/authority/);
  });

  test('a client certificate is sent, from sslcert and sslkey or from ~/.postgresql', async () => {
    await expect(connect(endpoint('with_certificate', { sslmode: 'require' }))).rejects.toEqual(
      refusal('28000'),
    );
    const named = endpoint('with_certificate', {
      sslmode: 'require',
      sslcert: guest.cert,
      sslkey: guest.key,
    });
    expect(await connect(named)).toBe('tls');
    const atHome = endpoint(
      'with_certificate',
      { sslmode: 'verify-full' },
      { home: 'furnished', host: 'localhost' },
    );
    expect(await connect(atHome)).toBe('tls');
  });

  test('a key that others can read is refused', async () => {
    const open = join(folder, 'open.key');
    await copyFile(guest.key, open);
    await chmod(open, 0o644);
    expect(() => endpoint('with_certificate', { sslcert: guest.cert, sslkey: open })).toThrow(
      /can be read by others/,
    );
  });

  test.each(['prefer', 'allow'])('every session of a pool does as %s says', async (sslmode) => {
    const database = sslmode === 'prefer' ? 'plain_only' : 'tls_only';
    const pool = openPool(endpoint(database, { sslmode }), { max: 3, applicationName: 'rowfleet tls test' });
    try {
      const ssl = () =>
        withSession(pool, async (session) => {
          const { rows } = await session.query(
            "select ssl, current_setting('search_path') as path from pg_catalog.pg_stat_ssl where pid = pg_backend_pid()",
          );
          return rows[0];
        });
      const expected = { ssl: sslmode === 'allow', path: '' };
      expect(await Promise.all([ssl(), ssl(), ssl()])).toEqual([expected, expected, expected]);
    } finally {
      await pool.end();
    }
  });

  test('a settled config works in a plain pg.Client', async () => {
    for (const [database, sslmode, ssl] of [
      ['plain_only', 'prefer', false],
      ['tls_only', 'allow', true],
    ] as const) {
      const client = new pg.Client(await settledConfig(endpoint(database, { sslmode })));
      await client.connect();
      const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
      await client.end();
      expect(rows[0].ssl).toBe(ssl);
    }
  });

  test('a wrong password is no reason to try it in plain', async () => {
    const to = endpoint('either', { sslmode: 'prefer', password: 'wrong secret' });
    const error = await connect(to).catch((caught) => caught);
    expect(error).toEqual(refusal('28P01'));
    expect(`${error.message} ${error.hint}`).not.toContain('wrong secret');
  });

  // Last: it changes the server's certificate.
  test('verify-full takes an address that the certificate has', async () => {
    await install(issue(folder, authority, 'address', 'nobody.invalid', 'IP:127.0.0.1'));
    await superuser(reload);
    const query = { sslmode: 'verify-full', sslrootcert: authority.cert };
    // The postmaster may hand out the old certificate for a moment after it said that it read the new one.
    await expect.poll(() => connect(endpoint('tls_only', query)).catch((error) => error.code)).toBe('tls');
    await expect(connect(endpoint('tls_only', query, { host: 'localhost' }))).rejects.toEqual(
      refusal('ERR_TLS_CERT_ALTNAME_INVALID'),
    );
  });
});
