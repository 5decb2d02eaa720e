// biome-ignore-all lint/suspicious/noTemplateCurlyInString: plans hold ${…} of their own.
import { describe, expect, it } from 'vitest';
import { endpointUrl } from '../../ops/cli/plan-file.ts';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { resolveEndpoint } from '../../src/plan/endpoints.ts';
import type { EndpointSpec } from '../../src/plan/plan.ts';

const env = { T_URL: 'postgres://me:a%20b@h:6/db?sslmode=require', T_PW: 'p@ss/w?rd&=#%', HOST: 'h.example' };

const specs: [string, EndpointSpec][] = [
  ['a variable', { url: '${T_URL}' }],
  ['a URL and a password apart', { url: 'postgres://me@h:6/db?sslmode=disable', passwordVariable: 'T_PW' }],
  [
    'a URL without parameters and a password apart',
    { url: 'postgresql://me@h/db', passwordVariable: 'T_PW' },
  ],
  [
    'settings',
    {
      settings: { host: '${HOST}', port: '6', username: 'me', database: 'd b', ssl_mode: 'require' },
      passwordVariable: 'T_PW',
    },
  ],
  [
    'settings with a password from a variable',
    { settings: { host: 'h', dbname: 'db', user: 'ü', password: '${T_PW}' } },
  ],
  ['a socket', { settings: { host: '/var/run/pg', port: '6', user: 'me', database: 'db' } }],
];

describe('the URL for child processes', () => {
  it.each(specs)('from %s means the same database', (_, spec) => {
    const direct = resolveEndpoint(spec, env);
    const passedOn = endpointFromUrl(endpointUrl(spec, env), env);
    const plain = (config: object) => JSON.parse(JSON.stringify(config));
    expect(plain(passedOn.config)).toEqual(plain(direct.config));
    expect([passedOn.label, passedOn.sslMode]).toEqual([direct.label, direct.sslMode]);
  });
});
