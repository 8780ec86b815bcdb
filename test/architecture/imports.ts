/**
 * Who may import what, as a table: layers, rooms of the core, npm packages, and no circle between files anywhere; and who may look at the
 * time by himself.
 * @module
 */

/** Each layer and the layers that it may import; `tools` and `test` stand outside the program and may use all of it. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  core: ['core'],
  adapters: ['core', 'adapters'],
  'kube-api': ['core', 'adapters', 'kube-api'],
  apps: ['core', 'adapters', 'kube-api', 'apps'],
  sim: ['core', 'adapters', 'apps', 'sim'],
  lab: ['core', 'adapters', 'lab'],
  image: ['core', 'adapters', 'lab', 'image'],
  bench: ['core', 'adapters', 'kube-api', 'apps', 'sim', 'lab', 'bench'],
  tools: ['core', 'adapters', 'kube-api', 'apps', 'sim', 'lab', 'image', 'tools', 'test'],
  test: ['core', 'adapters', 'kube-api', 'apps', 'sim', 'lab', 'image', 'tools', 'test'],
};

/** Rooms of the core, top to bottom; each may use those that stand before it. */
const ROOMS = [
  'net',
  'api',
  'config',
  'service',
  'kubernetes',
  'ipam',
  'election',
  'liveness',
  'layer2',
  'bfd',
  'bgp/wire',
  'bgp/rib',
  'bgp/session',
  'bgp/bmp',
  'bgp/peers',
  'reasons',
  'controller',
  'speaker',
  'offline',
  'admission',
  'migration',
  'doctor',
  'installation',
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
  protobufjs: 'src/kube-api/http',
  '@marcbachmann/cel-js': 'src/kube-api/rules',
  re2js: 'src/kube-api/rules',
  esbuild: 'image',
  tinybench: 'bench',
};

/** What stands outside the program may use besides: oracles, what others' code is measured by, what generates. */
const BESIDES: Readonly<Record<string, readonly string[]>> = {
  test: ['vitest', 'fast-check', 'ipaddr.js', 'zod', 'protobufjs'],
  bench: ['@kubernetes/client-node', 'ipaddr.js'],
  tools: ['protobufjs', 'vitest'],
};

/** What rooms of the core share: it is about nothing in particular. */
const SHARED_CORE = ['src/core/machine.ts', 'src/core/random.ts'];

/** What adapters share: it touches nothing outside. */
const SHARED_ADAPTERS = ['src/adapters/errors.ts', 'src/adapters/sha256.ts', 'src/adapters/driver/'];

/** All that apps see of the embedded API. */
const DOOR_OF_KUBE_API = 'src/kube-api/embedded-api.ts';

/** What would make the core depend on when and where it runs. */
const NOT_IN_CORE =
  /\b(Date|setTimeout|setInterval|setImmediate|queueMicrotask|performance|process|Buffer|console|globalThis|fetch|Math\.random|crypto)\b/;

/** What would run on a clock that nobody hands in. */
const OWN_CLOCK =
  /\b(Date\.now|new Date\(\)|setTimeout|setInterval|setImmediate|queueMicrotask|performance|hrtime|uptime|AbortSignal\.timeout)(?!\w)/;

/** Where programs get their time from, and who has to have one of his own besides. Apps have none. */
const OWN_CLOCK_FOR: Readonly<Record<string, string>> = {
  'src/adapters/driver/clock.ts': 'it is the clock that everybody else is given',
  'src/adapters/driver/poll-clock.ts': 'it is the clock of the wire Worker',
  'src/adapters/kubernetes/client.ts':
    'gives up requests that a real server does not answer; only AbortSignal can tell Node’s HTTP',
  'src/adapters/wire/stream-connection.ts':
    'looks whether the kernel has connected a socket that Node does not know yet',
  'src/adapters/wire/neighbour-test.ts': 'blocks in poll(2), where no timer runs',
  'src/kube-api/embedded-api.ts': 'sweeps old Events, for as long as it is served',
  'src/adapters/http/server.ts': 'cuts off clients that do not read; only the socket knows whether they do',
  'src/kube-api/http/watch.ts': 'ends watches of real clients in time, and sends them bookmarks',
};

/** The ways out of the program for texts, and the one file by which each is taken: there texts are made fit to be shown. */
const OUTLETS: readonly (readonly [RegExp, string])[] = [
  [/\bprocess\.(stdout|stderr)\.write\b|\bconsole\./, 'src/apps/cli/terminal.ts'],
  [/\bpino\(/, 'src/adapters/log/log.ts'],
  [/\breportingInstance\b/, 'src/adapters/kubernetes/events.ts'],
];

/** Every breach of the rules in one source file. `path` is relative to the root of the repository. */
export function breaches(path: string, source: string): string[] {
  const found = importsOf(source).flatMap((specifier) => importBreach(path, specifier) ?? []);
  if (!path.startsWith('src/') || isTest(path)) return found;
  for (const [way, outlet] of OUTLETS)
    if (path !== outlet && way.test(source)) found.push(`${path} writes by itself; texts go out by ${outlet}`);
  const [forbidden, why] =
    layerOf(path) === 'core'
      ? [NOT_IN_CORE, 'the core has no clock, no randomness and no I/O']
      : [OWN_CLOCK, 'time comes from the Clock or WallClock that is handed in (src/adapters/driver/clock.ts)'];
  if (path in OWN_CLOCK_FOR) return found;
  for (const [i, line] of withoutCommentsAndTexts(source).split('\n').entries()) {
    const name = forbidden.exec(line)?.[1];
    if (name !== undefined) found.push(`${path}:${i + 1} names ${name}; ${why}`);
  }
  return found;
}

/** Files that the table lets have a clock of their own and that have none: `sources` by path. */
export function idleClocks(sources: ReadonlyMap<string, string>): string[] {
  return Object.keys(OWN_CLOCK_FOR).filter((path) => !OWN_CLOCK.test(withoutCommentsAndTexts(sources.get(path) ?? '')));
}

/** Every circle of files that import each other, each as the paths along it; `sources` by path. */
export function circles(sources: ReadonlyMap<string, string>): string[] {
  const targets = new Map([...sources].map(([path, source]) => [path, importedFiles(path, source)]));
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) found.push([...trail.slice(at), path].join(' -> '));
    if (at >= 0 || done.has(path)) return;
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of targets.keys()) visit(path, []);
  return found;
}

/** The paths of the repository's own files that a source imports. */
export function importedFiles(path: string, source: string): string[] {
  return importsOf(source)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => resolve(path, specifier));
}

function importsOf(source: string): string[] {
  const statements = [...source.matchAll(/^import\s+(?:[^'"();=]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)];
  const reexports = [...source.matchAll(/^export\s+[^'"();=]*?\sfrom\s+['"]([^'"]+)['"]/gm)];
  const dynamic = [...source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)];
  return [...statements, ...reexports, ...dynamic].map((match) => match[1]!);
}

function importBreach(path: string, specifier: string): string | undefined {
  const breach = (why: string) => `${path} imports ${specifier}: ${why}`;
  // Tests stand beside what they test and may bring the whole program with them.
  const from = isTest(path) ? 'test' : layerOf(path);
  if (specifier.startsWith('node:')) return from === 'core' ? breach('the core does not know Node') : undefined;
  if (!specifier.startsWith('.')) {
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
    const folder = PACKAGES[name];
    if (BESIDES[from ?? '']?.includes(name)) return undefined;
    if (folder === undefined) return breach('the package is in no folder’s charge; add it to the table');
    return path.startsWith(`${folder}/`) ? undefined : breach(`only ${folder} may`);
  }
  const target = resolve(path, specifier);
  const to = layerOf(target);
  if (from === undefined || to === undefined) return undefined;
  if (!LAYERS[from]!.includes(to)) return breach(`${from} does not know ${to}`);
  if (from === 'core') return coreBreach(path, target, breach);
  if (from === 'apps' && to === 'kube-api' && target !== DOOR_OF_KUBE_API)
    return breach(`apps know the embedded API by ${DOOR_OF_KUBE_API} alone`);
  if (
    from === 'adapters' &&
    to === 'adapters' &&
    !SHARED_ADAPTERS.some((shared) => target.startsWith(shared)) &&
    path.split('/')[2] !== target.split('/')[2]
  )
    return breach('an adapter touches one outside thing and does not know the others');
  return undefined;
}

function coreBreach(path: string, target: string, breach: (why: string) => string): string | undefined {
  if (SHARED_CORE.includes(target)) return undefined;
  const [from, to] = [roomOf(path), roomOf(target)];
  if (from === undefined) return breach('the file is in no room of the table');
  if (to === undefined) return breach('what it imports is in no room of the table');
  return ROOMS.indexOf(to) <= ROOMS.indexOf(from) ? undefined : breach(`the room ${to} does not stand above ${from}`);
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/');
}

function layerOf(path: string): string | undefined {
  const [first, second] = path.split('/');
  const layer = first === 'src' ? second : first;
  return layer !== undefined && layer in LAYERS ? layer : undefined;
}

function roomOf(path: string): string | undefined {
  return ROOMS.find((room) => path.startsWith(`src/core/${room}/`));
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
