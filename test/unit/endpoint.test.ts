import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { endpointFromSettings, endpointFromUrl } from '../../src/pg/endpoint.ts';

const home = mkdtempSync(join(tmpdir(), 'rowfleet-home-'));
const env = { HOME: home };
const config = (url: string, more: NodeJS.ProcessEnv = {}) =>
  endpointFromUrl(url, { ...env, ...more }).config;

describe('libpq URLs', () => {
  test.each([
    ['postgres://me:pw@db.example:6432/shop', ['db.example', 6432, 'me', 'pw', 'shop']],
    ['postgresql://me@db.example', ['db.example', 5432, 'me', undefined, 'me']],
    ['postgres://m%40e:p%2Fw%3A%23@h/my%20db', ['h', 5432, 'm@e', 'p/w:#', 'my db']],
    ['postgres://me:p@ss#word@h/shop', ['h', 5432, 'me', 'p@ss#word', 'shop']],
    ['postgres://me:a+b@h/a+b', ['h', 5432, 'me', 'a+b', 'a+b']],
    ['postgres://me:pw@[2001:db8::1]:5433/shop', ['2001:db8::1', 5433, 'me', 'pw', 'shop']],
    ['postgres://me:pw@/shop?host=/run/pg&port=5433', ['/run/pg', 5433, 'me', 'pw', 'shop']],
    ['postgres://me:pw@%2Frun%2Fpg/shop', ['/run/pg', 5432, 'me', 'pw', 'shop']],
    ['postgres:///shop?user=me&password=pw&host=h', ['h', 5432, 'me', 'pw', 'shop']],
    ['postgres://h/?dbname=shop&user=me&password=pw', ['h', 5432, 'me', 'pw', 'shop']],
  ])('%s', (url, [host, port, user, password, database]) => {
    const found = config(url);
    expect(found).toMatchObject({ host, port, user, database });
    expect(typeof found.password === 'string' ? found.password : undefined).toBe(password);
  });

  test.each([
    ['mysql://me:secret@h/shop', /does not begin with postgres/],
    ['me:secret@h/shop', /does not begin with postgres/],
    ['postgres://me:sec%zzret@h/shop', /two hexadecimal digits/],
    ['postgres://me:secret@h:port/shop', /port must be a whole number/],
    ['postgres://me:secret@h:70000/shop', /port must be a whole number/],
    ['postgres://me:sec/secret@h/shop', /a \/ in front of the @ is not percent-encoded/],
    ['postgres://me:secret@a,b/shop', /several hosts/],
    ['postgres://me:secret@[::1/shop', /brackets/],
    ['postgres://me:secret@h/shop?sslmode', /has no value/],
  ])('%s is refused, and no secret is repeated', (url, reason) => {
    expect(() => config(url)).toThrow(reason);
    expect(() => config(url)).not.toThrow(/secret/);
  });
});

test('what is wrong with a URL is told with the variable that it stands in', () => {
  expect(() => endpointFromUrl('postgres://me:se/cret@h/shop', env, 'SOURCE_DATABASE_URL')).toThrow(
    /^SOURCE_DATABASE_URL: the connection URL is malformed/,
  );
});

describe('parameters', () => {
  test('an unknown one is named, with the nearest', () => {
    expect(() => config('postgres://h/shop?ssl_mod=require')).toThrow(
      expect.objectContaining({
        kind: 'usage',
        message: 'unknown connection parameter "ssl_mod"',
        hint: 'Did you mean ssl_mode?',
      }),
    );
  });

  test('one that is not done is refused by name, unless it asks for nothing', () => {
    expect(() => config('postgres://h/shop?channel_binding=require')).toThrow(/channel_binding/);
    expect(() => config('postgres://h/shop', { PGREQUIREAUTH: 'scram-sha-256' })).toThrow(/PGREQUIREAUTH/);
    expect(config('postgres://h/shop?channel_binding=prefer&target_session_attrs=any')).toMatchObject({
      host: 'h',
    });
  });

  test('the environment fills in what is left out, and nothing else', () => {
    const defaults = {
      PGHOST: 'eh',
      PGPORT: '1111',
      PGUSER: 'eu',
      PGPASSWORD: 'ep',
      PGDATABASE: 'ed',
      PGCONNECT_TIMEOUT: '7',
    };
    expect(config('postgres://', defaults)).toMatchObject({
      host: 'eh',
      port: 1111,
      user: 'eu',
      password: 'ep',
      database: 'ed',
      connectionTimeoutMillis: 7000,
    });
    expect(config('postgres://u:p@h:2222/d?connect_timeout=3', defaults)).toMatchObject({
      host: 'h',
      port: 2222,
      user: 'u',
      password: 'p',
      database: 'd',
      connectionTimeoutMillis: 3000,
    });
  });

  test('settings take the names of plan files', () => {
    const { config, sslMode } = endpointFromSettings(
      { host: 'h', port: '5433', user: 'u', password: 'p', database: 'd', ssl_mode: 'require' },
      env,
    );
    expect(config).toMatchObject({ host: 'h', port: 5433, user: 'u', password: 'p', database: 'd' });
    expect(sslMode).toBe('require');
  });

  test('sslmode is checked, and its files must exist', () => {
    expect(() => config('postgres://h/d?sslmode=verify-fully')).toThrow(
      expect.objectContaining({ hint: 'Did you mean verify-full?' }),
    );
    expect(() => config('postgres://h/d?sslmode=verify-full')).toThrow(
      `${home}/.postgresql/root.crt does not exist`,
    );
    expect(() => config('postgres://h/d?sslmode=verify-ca&sslrootcert=/nowhere/ca.crt')).toThrow(
      '/nowhere/ca.crt',
    );
    expect(() => config('postgres://h/d?sslcert=/nowhere/me.crt')).toThrow('sslcert names /nowhere/me.crt');
    expect(() => config('postgres://h/d?sslmode=require&sslrootcert=system')).toThrow(/too weak/);
  });

  test('a Unix socket is never encrypted', () => {
    const endpoint = endpointFromUrl('postgres://me@/d?host=/run/pg&sslmode=require', env);
    expect(endpoint).toMatchObject({ sslMode: 'disable', label: '/run/pg:5432/d', config: { ssl: false } });
  });
});

test('a password file gives the first password that matches, unless others can read it', () => {
  const passfile = join(home, 'passwords');
  const lines = [
    '# h:5432:d:me:no',
    'other:*:*:*:no',
    'h:5432:d\\:x:me:a\\:b\\\\c',
    '*:*:*:me:last:one',
    'localhost:*:*:*:socket',
  ];
  writeFileSync(passfile, lines.join('\n'), { mode: 0o600 });
  const password = (url: string, file = passfile) => config(url, { PGPASSFILE: file }).password;
  expect(password('postgres://me@h/d%3Ax')).toBe('a:b\\c');
  expect(password('postgres://me@h/d')).toBe('last:one');
  expect(password('postgres://you@/d?host=/run/pg')).toBe('socket');
  expect(password('postgres://me:own@h/d')).toBe('own');
  const open = join(home, 'open-passwords');
  writeFileSync(open, lines.join('\n'), { mode: 0o644 });
  expect(password('postgres://me@h/d', open)).not.toBe('last:one');
});

test('no password shows, however an endpoint is printed', () => {
  const endpoint = endpointFromUrl('postgres://me:secret@[::1]/d', env);
  expect(endpoint.label).toBe('[::1]:5432/d');
  expect(inspect({ endpoint }, { depth: 9 })).not.toContain('secret');
  expect(JSON.stringify({ endpoint })).toBe('{"endpoint":"[::1]:5432/d"}');
});
