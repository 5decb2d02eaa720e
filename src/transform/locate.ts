import { realpathSync, statSync } from 'node:fs';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { TransformCode } from './errors.ts';

const extensions = /\.[mc]?[jt]s$/;

/** The path of a file below a folder, with slashes; undefined for one that is not below it. Both are real paths. */
export function below(folder: string, file: string): string | undefined {
  const path = relative(folder, file);
  if (path === '' || path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path)) return undefined;
  return path.split(sep).join('/');
}

function refuse(file: string, why: string): never {
  throw new TransformCode(
    'TRANSFORM_FILE',
    `the transform ${file} ${why}`,
    'Code that a plan names lies below the folder of the plan: transforms/chunk.ts, or transforms/chunk.ts#name. `rowfleet types` prints types to write it with.',
  );
}

/**
 * The real path of code that a plan names. A plan is text from anywhere: what it names must lie below its own folder,
 * links followed. Throws TransformCode with the reason.
 */
export function locateTransform(folder: string, file: string): string {
  if (/^[a-z][a-z0-9+.-]+:/i.test(file)) refuse(file, 'is a URL');
  if (isAbsolute(file) || file.startsWith('\\')) refuse(file, 'is an absolute path');
  if (file.split(/[\\/]/).includes('..')) refuse(file, 'leads upwards with ..');
  if (file.includes('\0')) refuse(JSON.stringify(file), 'is no path');
  if (!extensions.test(file)) refuse(file, 'is neither .ts nor .js (.mts, .cts, .mjs, .cjs)');
  const path = resolve(folder, file);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) refuse(file, `does not exist: it is looked for at ${path}`);
  if (!found.isFile()) refuse(file, 'is not a file');
  const real = realpathSync(path);
  if (below(realpathSync(folder), real) === undefined) refuse(file, 'is a link that leads out of the folder');
  return real;
}
