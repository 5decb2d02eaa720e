import { execFileSync } from 'node:child_process';
import { cpSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `npm run build [-- folder]`: compiles into dist, and puts beside the code what it reads at run time. */

const root = fileURLToPath(new URL('../../', import.meta.url));
const dist = join(root, process.argv[2] ?? 'dist');
const asset = /\.(sql|html|css|svg|schema\.json)$/;

const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');

rmSync(dist, { recursive: true, force: true });
execFileSync(
  process.execPath,
  [compiler, '-p', join(root, 'ops/deploy/tsconfig.build.json'), '--outDir', dist],
  { stdio: 'inherit' },
);
for (const folder of ['src', 'ops/cli', 'ops/dashboard']) {
  cpSync(join(root, folder), join(dist, folder), {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || asset.test(path),
  });
}
