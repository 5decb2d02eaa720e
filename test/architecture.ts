/** One import of a file: a path inside the checkout, or a package's name. */
interface Import {
  to: string;
  /** Erased when it is compiled: knowing a shape is not depending on a room's work. */
  typeOnly: boolean;
}

const foundations = ['pg', 'wire', 'catalog', 'transform', 'plan', 'ledger'].map((room) => `src/${room}`);
const stages = ['copy', 'constraints', 'validate', 'rollback'].map((room) => `src/${room}`);
const everyRoom = [...foundations, ...stages, 'src/run', 'src/progress', 'src/control'];

const opsRooms = ['src/control', 'src/progress', 'src/transform', 'src/plan', 'src/pg', 'jobs'];

/** What each room may import besides itself and the files directly in src (`types`: only their types). */
const arrows: Record<string, { rooms: string[]; types?: string[] }> = {
  src: { rooms: ['src/pg'] },
  'src/pg': { rooms: [] },
  'src/wire': { rooms: ['src/pg'] },
  'src/catalog': { rooms: ['src/pg'], types: everyRoom },
  'src/transform': { rooms: [], types: everyRoom },
  'src/plan': { rooms: ['src/pg', 'src/catalog', 'src/transform'], types: everyRoom },
  'src/ledger': { rooms: ['src/pg', 'src/catalog', 'src/plan'], types: everyRoom },
  ...Object.fromEntries(stages.map((stage) => [stage, { rooms: foundations, types: stages }])),
  'src/run': { rooms: [...foundations, ...stages] },
  'src/progress': { rooms: foundations, types: everyRoom },
  'src/control': { rooms: [...foundations, ...stages, 'src/run', 'src/progress'] },
  jobs: { rooms: ['src/pg'], types: everyRoom },
  workers: { rooms: ['jobs', ...everyRoom] },
  ops: { rooms: opsRooms, types: everyRoom },
  'ops/cli': { rooms: ['ops', ...opsRooms, 'workers'], types: everyRoom },
};

/** The room of a file: `src/copy`, `src` for the files directly in it, `jobs`, `workers`, `ops/cli`, `ops`, `test`. */
export function roomOf(path: string): string {
  const [top = '', second = '', ...rest] = path.split('/');
  if (top === 'src') return rest.length > 0 ? `src/${second}` : 'src';
  return top === 'ops' && second === 'cli' ? 'ops/cli' : top;
}

const withoutComments = (source: string): string =>
  source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');

function resolveImport(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

/** Every static, dynamic and re-exporting import of a file. */
export function importsOf(path: string, source: string): Import[] {
  const statements = /^(?:import|export)\s([^;'"`]*?)from\s*['"]([^'"]+)['"]/gm;
  const others = /(?:^import\s*|\bimport\(\s*)['"]([^'"]+)['"]/gm;
  const text = withoutComments(source);
  return [
    ...[...text.matchAll(statements)].map(([, clause = '', to = '']) => {
      const names = /^\{([^}]*)\}\s*$/
        .exec(clause)?.[1]
        ?.split(',')
        .filter((name) => name.trim() !== '');
      const typeOnly = /^type\s/.test(clause) || (names?.every((name) => /^\s*type\s/.test(name)) ?? false);
      return { to: resolveImport(path, to), typeOnly };
    }),
    ...[...text.matchAll(others)].map(([, to = '']) => ({ to: resolveImport(path, to), typeOnly: false })),
  ];
}

function brokenArrows(path: string, source: string): string[] {
  const room = roomOf(path);
  const allowed = arrows[room];
  if (room === 'test' || path === 'src/index.ts') return [];
  if (!allowed) return [`${path}: ${room} is no room of the design`];
  return importsOf(path, source).flatMap(({ to, typeOnly }) => {
    if (!/^(src|jobs|workers|ops|test)\//.test(to)) return [];
    const target = roomOf(to);
    const fine = target === room || target === 'src' || allowed.rooms.includes(target);
    if ((fine && to !== 'src/index.ts') || (typeOnly && allowed.types?.includes(target))) return [];
    return [`${path} imports ${to}: ${room} may not use ${target}`];
  });
}

/** The packages that belong to the queue, the terminal and HTTP: the domain knows none of them. */
const notInDomain = /^(bullmq|ioredis|hono|commander|string-width|@hono\/|@bull-board\/)/;

function brokenPackages(path: string, source: string, dependencies: string[]): string[] {
  return importsOf(path, source).flatMap(({ to }) => {
    if (to.startsWith('node:') || /^(src|jobs|workers|ops|test|package\.json)\b/.test(to)) return [];
    const name = to
      .split('/')
      .slice(0, to.startsWith('@') ? 2 : 1)
      .join('/');
    if (roomOf(path).startsWith('src') && notInDomain.test(to))
      return [`${path} imports ${name}: not for src`];
    return dependencies.includes(name) ? [] : [`${path} imports ${name}: not among the dependencies`];
  });
}

function brokenHabits(path: string, source: string): string[] {
  const text = withoutComments(source);
  const broken: string[] = [];
  if (!path.startsWith('src/pg/') && /\bescape(Identifier|Literal)\b/.test(text)) {
    broken.push(`${path} quotes SQL itself: only src/pg does`);
  }
  if (!/^(ops\/cli\/|workers\/[^/]+$)/.test(path) && /\bprocess\.exit\(/.test(text)) {
    broken.push(`${path} calls process.exit: only ops/cli and the workers' entry files do`);
  }
  const lines = source.split('\n').length - 1;
  if (lines >= 400) broken.push(`${path} has ${lines} lines: split it below 400`);
  return broken;
}

/**
 * What breaks the design, in words: import arrows, packages, quoting, process.exit, file size and names.
 * `files` maps paths from the checkout's root to sources; `dependencies` are the packages a user gets.
 */
export function violations(files: Map<string, string>, dependencies: string[]): string[] {
  return [...files].flatMap(([path, source]) => {
    const names = path
      .split('/')
      .flatMap((part) =>
        /^(utils?|helpers?|common|lib)(\.|$)/.test(part) || !/^[a-z0-9.-]+$/.test(part)
          ? [`${path}: rename ${part}`]
          : [],
      );
    if (roomOf(path) === 'test') return names;
    return [
      ...names,
      ...brokenArrows(path, source),
      ...brokenPackages(path, source, dependencies),
      ...brokenHabits(path, source),
    ];
  });
}
