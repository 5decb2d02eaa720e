// Runs before `npm run demo` and `npm test`, so plain JavaScript without a package: installs what is missing.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Versions by folder, of the packages that belong on every platform. */
function installed(file) {
  const { packages } = JSON.parse(readFileSync(`${root}${file}`, 'utf8'));
  const needed = Object.entries(packages).filter(([path, { optional }]) => path !== '' && !optional);
  return JSON.stringify(needed.map(([path, { version }]) => `${path} ${version}`).sort());
}

const own = 'node_modules/.package-lock.json';
if (!existsSync(`${root}${own}`) || installed(own) !== installed('package-lock.json')) {
  console.error('installing the packages of package-lock.json (npm ci), once');
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: 'inherit' });
}
