import { SourceMap } from 'node:module';
import { nearest } from '../nearest.ts';
import { type CompiledTransform, compileTransform } from './compile.ts';
import { TransformCode } from './errors.ts';
import type { TransformFunction } from './types.ts';

/** A transform's code, loaded into this process. */
export interface LoadedTransform {
  call: TransformFunction;
  /** See `CompiledTransform.hash`. */
  hash: string;
  /** The places in an error's stack that lie in the plan's folder: `transforms/chunk.ts:12:5`. */
  framesOf(error: unknown): string[];
}

type Exports = Record<string, unknown>;

/** What an ES module exports under a name, or a CommonJS one. */
function exported(exports: Exports, name: string): unknown {
  const commonJs = exports.default as Exports | undefined;
  if (name === 'default') {
    const isWrapped = typeof commonJs === 'object' && commonJs !== null;
    return isWrapped ? commonJs.default : commonJs;
  }
  return exports[name] ?? (typeof commonJs === 'object' ? commonJs?.[name] : undefined);
}

function functionOf(exports: Exports, file: string, name: string): TransformFunction {
  const found = exported(exports, name);
  if (typeof found === 'function') return found as TransformFunction;
  const what = name === 'default' ? 'default export' : `export ${name}`;
  const others = Object.keys(exports).filter((key) => typeof exports[key] === 'function');
  const near = nearest(name, others) ?? others[0];
  throw new TransformCode(
    'TRANSFORM_CODE',
    found === undefined ? `the transform ${file} has no ${what}` : `the ${what} of ${file} is no function`,
    near === undefined
      ? 'Write export default function …'
      : `Did you mean ${file}${near === 'default' ? '' : `#${near}`}?`,
  );
}

/** A module's text as it is run: its address, and the name that V8 gives to it in stacks. */
interface Script {
  address: string;
  name: string;
}

/**
 * Reads places out of a stack. Its text begins with the message, which is anybody's: only our own name for the module with
 * two numbers is taken, and only the sources' own names are given back.
 */
function framesIn(error: unknown, script: Script, { map, files }: CompiledTransform): string[] {
  const stack = error instanceof Error && typeof error.stack === 'string' ? error.stack : '';
  // Who prepares stacks for source maps of its own (--enable-source-maps, test runners) keeps to the address.
  const named = stack.replaceAll(script.address, script.name);
  const sources = new SourceMap(map as never);
  const frames: string[] = [];
  for (const [, line, column] of named.matchAll(new RegExp(`${script.name}:(\\d{1,9}):(\\d{1,9})\\b`, 'g'))) {
    const found = sources.findEntry(Number(line) - 1, Number(column) - 1);
    if (!('originalSource' in found) || !files.includes(found.originalSource)) continue;
    frames.push(`${found.originalSource}:${found.originalLine + 1}:${found.originalColumn + 1}`);
  }
  return frames;
}

let loaded = 0;

/** Runs a module's top level. Each time is a module of its own, so what one run's transform remembers is not another's. */
async function importCompiled(compiled: CompiledTransform, file: string) {
  const name = `rowfleet-transform-${++loaded}.js`;
  const text = Buffer.from(`${compiled.code}\n//# sourceURL=${name}\n`).toString('base64');
  const script = { name, address: `data:text/javascript;base64,${text}` };
  const framesOf = (error: unknown) => framesIn(error, script, compiled);
  try {
    const exports: Exports = await import(script.address);
    return { exports, framesOf };
  } catch (error) {
    const [place] = framesOf(error);
    const message = error instanceof Error ? error.message : String(error);
    const at = place === undefined ? '' : ` (${place})`;
    throw new TransformCode('TRANSFORM_CODE', `the transform ${file} cannot be loaded: ${message}${at}`);
  }
}

/**
 * Loads the function that a plan names, TypeScript or JavaScript. Throws TransformCode: see `compileTransform`; also where
 * the module throws, lacks the export, or is another code than `hash` (TRANSFORM_DIFFERS).
 * @param folder the plan's folder
 * @param transform as the plan names it; `hash` where the code is to be one that was checked before
 */
export async function loadTransform(
  folder: string,
  transform: { file: string; export: string; hash?: string },
): Promise<LoadedTransform> {
  const { file, hash } = transform;
  const compiled = await compileTransform(folder, file);
  if (hash !== undefined && hash !== compiled.hash)
    throw new TransformCode(
      'TRANSFORM_DIFFERS',
      `the transform ${file} in ${folder} is not the code that the plan was checked with`,
      'Bring the files below the folder of the plan to where they were, packages too; or take the new code into the run with `rowfleet revise`.',
    );
  const { exports, framesOf } = await importCompiled(compiled, file);
  return { call: functionOf(exports, file, transform.export), hash: compiled.hash, framesOf };
}
