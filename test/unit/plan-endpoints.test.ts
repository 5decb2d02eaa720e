import { describe, expect, test } from 'vitest';
import { resolveEndpoint } from '../../src/plan/endpoints.ts';
import { parsePlan } from '../../src/plan/read/parse.ts';

const parseUrl = (url: string) =>
  parsePlan(`source: ${JSON.stringify(url)}\ntarget: postgres://h/d`, '/plans/p.yaml');

describe('passwords', () => {
  test.each([
    ['postgres://me:s3c%40ret@h:5433/db?sslmode=require', 'postgres://me@h:5433/db?sslmode=require'],
    ['postgresql://me:s3c@ret@h/db', 'postgresql://me@h/db'],
    ['postgres://me@h/db?sslmode=require&password=s3c%40ret', 'postgres://me@h/db?sslmode=require'],
    ['postgres://:s3c@ret@h/db', 'postgres://@h/db'],
    ['postgres:///db?user=me&pass%77ord=s3c%40ret', 'postgres:///db?user=me'],
  ])('are taken out of %s', (url, kept) => {
    const { plan, secrets } = parseUrl(url);
    expect(plan?.source).toEqual({ url: kept, passwordVariable: 'SOURCE_DATABASE_PASSWORD' });
    expect(secrets).toEqual({ SOURCE_DATABASE_PASSWORD: 's3c@ret' });
    expect(JSON.stringify(plan)).not.toMatch(/s3c/);
    expect(resolveEndpoint(plan!.source, secrets).config.password).toBe('s3c@ret');
  });

  test.each([
    ['postgres://me:pa/ss@h/db', /@ behind its first slash/],
    ['postgres://me:pre${P}@h/db', /mixes text/],
    ['postgres://h/db?sslpassword=open', /sslpassword stands in the plan/],
    ['mysql://me:secret@h/db', /no PostgreSQL URL/],
    ['${A:-b}', /names no environment variable/],
  ])('that cannot be told apart are refused: %s', (url, message) => {
    const { plan, problems } = parseUrl(url);
    expect(plan).toBeUndefined();
    expect(problems[0]!.message).toMatch(message);
    expect(JSON.stringify(problems)).not.toMatch(/secret|pa\/ss|open/);
  });
});

describe('variables', () => {
  test('stay in the plan and are put in from the environment', () => {
    const { plan, secrets } = parseUrl('postgres://${USER_NAME}:${PASS}@${HOST}/db');
    expect(plan!.source).toEqual({ url: 'postgres://${USER_NAME}:${PASS}@${HOST}/db' });
    expect(secrets).toEqual({});
    const { config, label } = resolveEndpoint(plan!.source, { USER_NAME: 'u', PASS: 'p', HOST: 'h' });
    expect(config).toMatchObject({ user: 'u', password: 'p', host: 'h', database: 'db' });
    expect(label).toBe('h:5432/db');
  });

  test('may be the whole URL, password and all', () => {
    const { plan } = parseUrl('${SOURCE_DATABASE_URL}');
    expect(plan!.source).toEqual({ url: '${SOURCE_DATABASE_URL}' });
    const { config } = resolveEndpoint(plan!.source, { SOURCE_DATABASE_URL: 'postgres://u:p@h/db' });
    expect(config.password).toBe('p');
  });

  test('that are missing are named', () => {
    const { plan } = parseUrl('${SOURCE_DATABASE_URL}');
    expect(() => resolveEndpoint(plan!.source, {})).toThrow(
      /\$\{SOURCE_DATABASE_URL\}, which is not in the environment/,
    );
    expect(() => resolveEndpoint({ settings: { host: 'h' }, passwordVariable: 'P' }, {})).toThrow(/\$\{P\}/);
  });
});

test('settings keep what URLs cannot hold', () => {
  const text = `source_database: {host: h, user: 'a b', password: 'p@/:?#$', database: "d'b"}\ntarget: postgres://h/d`;
  const { plan, secrets } = parsePlan(text, '/plans/p.yaml');
  const { config } = resolveEndpoint(plan!.source, secrets);
  expect(config).toMatchObject({ host: 'h', user: 'a b', password: 'p@/:?#$', database: "d'b" });
});
