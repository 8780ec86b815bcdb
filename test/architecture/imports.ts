/**
 * Who may import what: the table of DESIGN §2 as code.
 * @module
 */

/** Rooms of the core; each may use those that stand before it. `reconcile` comes last and may use all. */
const ROOMS = [
  'net',
  'api',
  'config',
  'ipam',
  'election',
  'liveness',
  'layer2',
  'reflector',
  'leadership',
  'doctor',
  'installation',
  'bgp',
  'bfd',
  'reconcile',
];

/** The one folder that imports each npm package. */
const PACKAGES: Readonly<Record<string, string>> = {
  zod: 'src/core/api',
  '@kubernetes/client-node': 'src/adapters/kubernetes',
  koffi: 'src/adapters/wire',
  pino: 'src/adapters/log',
  'prom-client': 'src/adapters/metrics',
  '@peculiar/x509': 'src/adapters/certificates',
  'reflect-metadata': 'src/adapters/certificates',
  yaml: 'src/adapters/files',
  commander: 'src/apps/cli',
  rfc6902: 'src/apps/standalone/api',
  protobufjs: 'src/apps/standalone/api',
  '@marcbachmann/cel-js': 'src/apps/standalone/api',
};

/** What would make the core depend on when and where it runs. */
const NOT_IN_CORE =
  /\b(Date|setTimeout|setInterval|setImmediate|queueMicrotask|performance|process|Buffer|console|globalThis|fetch|Math\.random|crypto)\b/;

/** Every breach of the rules in one source file. `path` is relative to the root of the repository. */
export function breaches(path: string, source: string): string[] {
  const found = importsOf(source).flatMap((specifier) => importBreach(path, specifier) ?? []);
  if (path.startsWith('src/core/')) {
    for (const [i, line] of withoutCommentsAndTexts(source).split('\n').entries()) {
      const name = NOT_IN_CORE.exec(line)?.[1];
      if (name !== undefined)
        found.push(`${path}:${i + 1} names ${name}; the core has no clock, no randomness and no I/O`);
    }
  }
  return found;
}

function importsOf(source: string): string[] {
  const statements = [...source.matchAll(/^import\s+(?:[^'"();=]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)];
  const reexports = [...source.matchAll(/^export\s+[^'"();=]*?\sfrom\s+['"]([^'"]+)['"]/gm)];
  return [...statements, ...reexports].map((match) => match[1]!);
}

function importBreach(path: string, specifier: string): string | undefined {
  const breach = (why: string) => `${path} imports ${specifier}: ${why}`;
  if (specifier.startsWith('node:'))
    return path.startsWith('src/core/') ? breach('the core does not know Node') : undefined;
  if (!specifier.startsWith('.')) {
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
    const folder = PACKAGES[name];
    if (folder === undefined) return breach('the package is in no folder’s charge; add it to the table');
    return path.startsWith(`${folder}/`) ? undefined : breach(`only ${folder} may`);
  }
  const target = resolve(path, specifier);
  const from = layerOf(path);
  const to = layerOf(target);
  if (from === 'core')
    return to === 'core' ? coreBreach(path, target, breach) : breach('the core imports nothing but the core');
  if (from === 'adapters') {
    if (to === 'apps') return breach('adapters do not know the apps');
    if (
      to === 'adapters' &&
      !SHARED_ADAPTERS.some((shared) => target.startsWith(shared)) &&
      roomOf(path) !== roomOf(target)
    ) {
      return breach('an adapter touches one outside thing and does not know the others');
    }
  }
  if (
    (path.startsWith('sim/') && to !== 'core' && !target.startsWith('sim/')) ||
    (path.startsWith('lab/') && to === 'apps')
  ) {
    return breach('sim runs the core alone, lab runs the apps as processes');
  }
  return undefined;
}

const SHARED_ADAPTERS = ['src/adapters/errors.ts', 'src/adapters/driver/'];

function coreBreach(path: string, target: string, breach: (why: string) => string): string | undefined {
  const [from, to] = [roomOf(path), roomOf(target)];
  if (from === to || to === 'machine.ts' || ROOMS.indexOf(to!) < ROOMS.indexOf(from!)) return undefined;
  return breach(`the room ${to} does not stand above ${from}`);
}

function layerOf(path: string): string | undefined {
  return /^src\/(core|adapters|apps)\//.exec(path)?.[1];
}

function roomOf(path: string): string | undefined {
  return path.split('/')[2];
}

function resolve(path: string, specifier: string): string {
  const pieces = path.split('/').slice(0, -1);
  for (const piece of specifier.split('/')) {
    if (piece === '..') pieces.pop();
    else if (piece !== '.') pieces.push(piece);
  }
  return pieces.join('/');
}

function withoutCommentsAndTexts(source: string): string {
  const blank = (text: string) => text.replace(/[^\n]/g, ' ');
  return source
    .replace(/\/\*[\s\S]*?\*\//g, blank)
    .replace(/(^|[^:'"`])\/\/[^\n]*/g, blank)
    .replace(/'(?:[^'\\\n]|\\.)*'/g, blank)
    .replace(/`(?:[^`\\]|\\.)*`/g, (text) =>
      text.replace(/(\$\{[^}]*\})|[^\n]/g, (_, kept: string | undefined) => kept ?? ' '),
    );
}
