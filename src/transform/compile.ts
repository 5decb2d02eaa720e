import { createHash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type {
  BuildFailure,
  Loader,
  Message,
  OnLoadResult,
  OnResolveArgs,
  OnResolveResult,
  Plugin,
  PluginBuild,
} from 'esbuild';
import { TransformCode } from './errors.ts';
import { below, locateTransform } from './locate.ts';

/** A transform's code as one ES module, not run yet. */
export interface CompiledTransform {
  /** JavaScript; packages are imported by their file URLs. */
  code: string;
  /** Source map of `code`; its sources are relative to the plan's folder. */
  map: { sources: string[] } & Record<string, unknown>;
  /** Paths of the sources below the plan's folder, sorted. */
  files: string[];
  /**
   * SHA-256 (hex) over the names and the bytes of all sources below the plan's folder, and over the names and versions of
   * the packages that they import: the same on any machine.
   */
  hash: string;
}

/** What a build met, by name: `file transforms/chunk.ts` → hash of its bytes, `package zod` → version. */
type Ingredients = Map<string, string>;

/** The compiler, loaded by the first plan that names code: most processes of a fleet meet none. */
const compiler = () => import('esbuild');

const loaders: Record<string, Loader> = { '.js': 'js', '.mjs': 'js', '.cjs': 'js', '.json': 'json' };
const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');

/** Name and version of the package that a resolved file belongs to. */
function packageOf(file: string): { name: string; version: string } {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      if (typeof name === 'string') return { name, version: String(version) };
    } catch {
      // Not in that folder; inner ones may name only a module type.
    }
  }
  return { name: basename(file), version: 'unknown' };
}

const refusal = (text: string): OnResolveResult => ({ errors: [{ text }] });

async function resolveImport(
  esbuild: PluginBuild,
  folder: string,
  args: OnResolveArgs,
  ingredients: Ingredients,
): Promise<OnResolveResult | undefined> {
  if (args.kind === 'entry-point' || args.pluginData === resolveImport) return undefined;
  const { path, kind, importer, resolveDir } = args;
  const isRequired = kind === 'require-call' || kind === 'require-resolve';
  if (isBuiltin(path) && !isRequired) return { path, external: true };
  if (/^[a-z][a-z0-9+.-]+:/i.test(path) && !isBuiltin(path)) return refusal(`${path} is a URL`);
  const isPackage = !/^([./#]|[a-z]:)/i.test(path);
  if (isPackage && isRequired) return refusal(`${path} is required: write an import`);
  const found = await esbuild.resolve(path, { kind, importer, resolveDir, pluginData: resolveImport });
  if (found.errors.length > 0) return { errors: found.errors };
  if (isPackage) {
    const { name, version } = packageOf(found.path);
    ingredients.set(`package ${name}`, version);
    return { path: pathToFileURL(found.path).href, external: true };
  }
  if (below(folder, found.path) === undefined) return refusal(`${path} is not below the folder of the plan`);
  return { path: found.path };
}

/** Reads one source. One that looks at `import.meta` sees itself there, wherever the bundle is run from. */
async function loadSource(folder: string, path: string, ingredients: Ingredients): Promise<OnLoadResult> {
  const bytes = readFileSync(path);
  const file = below(folder, path)!;
  ingredients.set(`file ${file}`, sha256(bytes));
  const loader = loaders[extname(path)] ?? 'ts';
  if (loader === 'json' || !bytes.includes('import.meta')) return { contents: bytes, loader };
  const define = {
    'import.meta.url': JSON.stringify(pathToFileURL(path).href),
    'import.meta.filename': JSON.stringify(path),
    'import.meta.dirname': JSON.stringify(dirname(path)),
  };
  const options = {
    loader,
    define,
    sourcefile: basename(path),
    sourcemap: 'inline',
    tsconfigRaw: '{}',
  } as const;
  const { transform } = await compiler();
  try {
    return { contents: (await transform(bytes, options)).code, loader: 'js' };
  } catch (error) {
    const place = (one: Message) => ({ ...one, location: one.location && { ...one.location, file } });
    return { errors: (error as BuildFailure).errors.map(place) };
  }
}

const withinFolder = (folder: string, ingredients: Ingredients): Plugin => ({
  name: 'rowfleet',
  setup(esbuild) {
    esbuild.onResolve({ filter: /.*/ }, (args) => resolveImport(esbuild, folder, args, ingredients));
    esbuild.onLoad({ filter: /\.([mc]?[jt]s|json)$/ }, ({ path }) => loadSource(folder, path, ingredients));
  },
});

/** `transforms/chunk.ts:3:9: Expected ";" but found "x"`, as far as the place is known. */
function formatMessage({ text, location }: Message): string {
  return location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text;
}

/**
 * Compiles the code that a plan names into one module, whatever package.json stands around it. Imports of packages stay;
 * imports of other code must lie below the folder of the plan. Nothing is run.
 * Throws TransformCode: TRANSFORM_FILE where the file cannot be used, TRANSFORM_CODE where it does not compile.
 * @param folder the plan's folder
 * @param file as the plan has it
 */
export async function compileTransform(folder: string, file: string): Promise<CompiledTransform> {
  const entry = locateTransform(folder, file);
  const root = realpathSync(folder);
  const ingredients: Ingredients = new Map();
  const { build } = await compiler();
  try {
    const { outputFiles } = await build({
      entryPoints: [entry],
      absWorkingDir: root,
      outdir: root,
      write: false,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      conditions: [], // Node's own, without what bundlers add
      sourcemap: 'external',
      sourcesContent: false,
      tsconfigRaw: '{}',
      logLevel: 'silent',
      plugins: [withinFolder(root, ingredients)],
    });
    const text = (ending: string) => outputFiles.find(({ path }) => path.endsWith(ending))!.text;
    const lines = [...ingredients].map((each) => each.join(' ')).sort();
    return {
      code: text('.js'),
      map: JSON.parse(text('.js.map')),
      files: lines.flatMap((line) => /^file (.*) \w+$/.exec(line)?.[1] ?? []),
      hash: sha256(lines.join('\n')),
    };
  } catch (error) {
    const { errors } = error as BuildFailure;
    if (!Array.isArray(errors)) throw error;
    const [first, ...more] = errors.map(formatMessage);
    const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
    throw new TransformCode('TRANSFORM_CODE', `the transform ${file} does not compile: ${first}${others}`);
  }
}
