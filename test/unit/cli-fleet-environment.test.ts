// biome-ignore-all lint/suspicious/noTemplateCurlyInString: plans hold ${…} of their own.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type RunSite, requireFleetEnvironment } from '../../ops/cli/chosen-run.ts';
import type { Run } from '../../src/ledger/runs.ts';
import { compileTransform } from '../../src/transform/compile.ts';

test('a fleet that has not the code of a run is not begun with: it would wait for ever', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rowfleet-code-'));
  const write = (text: string) => writeFileSync(join(folder, 't.ts'), `export default () => ${text};\n`);
  write('1');
  const { hash } = await compileTransform(folder, 't.ts');
  const endpoint = { url: '${DATABASE_OF_RUN}' };
  const flows = [{ name: 'f', transform: { file: 't.ts', export: 'default', hash } }];
  const run = { id: '7', revision: 2, plan: { source: { endpoint }, target: { endpoint }, flows } };
  const begin = (folders: string) => {
    const fleetEnv = { DATABASE_OF_RUN: 'postgres://u@h/d', ROWFLEET_PLANS: folders };
    const site = { option: ' -c p.yaml', fleetEnv } as unknown as RunSite;
    return requireFleetEnvironment(site, run as unknown as Run);
  };
  await begin(`/nowhere:${folder}`);
  const refused = {
    code: 'TRANSFORM_DIFFERS',
    message: 'the transform t.ts is not here as revision 2 of run 7 was checked with it',
    hint: expect.stringMatching(/^rowfleet revise -c p\.yaml 7 {3}takes the code/),
  };
  await expect(begin('')).rejects.toMatchObject(refused);
  write('2');
  await expect(begin(folder)).rejects.toMatchObject(refused);
});
