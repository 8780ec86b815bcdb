/**
 * The program as a few files: a process loads what its command needs and nothing more, which is a third of the time and half of the memory that
 * the sources with all their packages take.
 * @module
 */
import { chmodSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

/** CommonJS packages ask for `require`, which modules do not have. */
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);\n";

/** Packages that stand beside the bundle: one holds a native library, the other is that library, one for each platform. */
const OUTSIDE = ['koffi'];

/** Nothing happens when a module of this package is loaded, which it does not say itself: of its 17 MB a fiftieth is ours. */
const PURE = /node_modules\/@kubernetes\/client-node\//;

/** Go on resolving as ever, but mark what has no side effects. */
const pure: Plugin = {
  name: 'pure',
  setup({ onResolve, resolve }) {
    const asked = Symbol('asked');
    onResolve({ filter: /./ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (pluginData === asked || !(PURE.test(importer) || path.startsWith('@kubernetes/client-node')))
        return undefined;
      const resolved = await resolve(path, { kind, importer, resolveDir, pluginData: asked });
      return PURE.test(resolved.path) ? { ...resolved, sideEffects: false } : resolved;
    });
  },
};

/** Writes the bundle and returns the names of the npm packages that are in it. */
export async function bundle(
  root: string,
  to: string,
  architecture: 'x64' | 'arm64',
  koffi: string,
): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: { metallb: join(root, 'src/apps/cli/main.ts'), worker: join(root, 'src/adapters/wire/worker.ts') },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    outdir: to,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunk-[hash]',
    external: OUTSIDE,
    banner: { js: REQUIRE },
    plugins: [pure],
    // Names in a stack trace are worth more than the bytes.
    minify: false,
    legalComments: 'none',
    metafile: true,
    absWorkingDir: root,
    logLevel: 'error',
  });
  const program = join(to, 'metallb.mjs');
  writeFileSync(program, `#!/usr/bin/node\n${readFileSync(program, 'utf8')}`);
  chmodSync(program, 0o755);
  const modules = join(to, 'node_modules');
  for (const file of ['package.json', 'index.js', 'LICENSE.txt', 'src/koffi/index.js', 'src/koffi/src/static.js'])
    cpSync(join(root, 'node_modules/koffi', file), join(modules, 'koffi', file));
  const native = `@koromix/koffi-linux-${architecture}`;
  for (const file of ['package.json', 'index.js', `linux_${architecture}`])
    cpSync(join(koffi, file), join(modules, native, file), { recursive: true });
  const inside = Object.keys(metafile.inputs).flatMap((path) => packageOf(path) ?? []);
  return [...new Set([...inside, ...OUTSIDE, native])].sort();
}

function packageOf(path: string): string | undefined {
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
}
