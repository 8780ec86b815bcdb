import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { breaches, circles, idleClocks } from './imports.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const FOLDERS = ['src', 'sim', 'lab', 'bench', 'tools', 'image', 'test'];

/** Every source file of the repository, tests included, by path. */
const sources = new Map(
  FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(ts|mjs)$/.test(name))
      .map((name) => `${folder}/${name}`),
  ).map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]),
);

describe('the architecture', () => {
  it('holds in every source file', () => {
    expect(sources.size).toBeGreaterThan(300);
    // The table's own examples are no imports.
    const judged = [...sources].filter(([path]) => path !== 'test/architecture/architecture.test.ts');
    expect(judged.flatMap(([path, source]) => breaches(path, source))).toEqual([]);
  });

  it('has no circle of files', () => {
    expect(circles(sources)).toEqual([]);
  });

  it('lets nobody have a clock of his own who needs none', () => {
    expect(idleClocks(sources)).toEqual([]);
    expect(idleClocks(new Map([...sources, ['src/adapters/driver/clock.ts', '']]))).toHaveLength(1);
  });

  it('finds a circle, and says along which files it goes', () => {
    const files = new Map([
      ['src/core/net/a.ts', `import { b } from './b.ts';`],
      ['src/core/net/b.ts', `export { c } from './c.ts';`],
      ['src/core/net/c.ts', `const a = await import('./a.ts');`],
      ['src/core/net/d.ts', `import { a } from './a.ts';`],
    ]);
    expect(circles(files)).toEqual([
      'src/core/net/a.ts -> src/core/net/b.ts -> src/core/net/c.ts -> src/core/net/a.ts',
    ]);
  });

  it.each<[string, string, string]>([
    ['a core file that imports an adapter', 'src/core/ipam/x.ts', `import { x } from '../../adapters/wire/wire.ts';`],
    ['a core file that names Date', 'src/core/ipam/x.ts', 'const now = new Date();'],
    ['a core file that names Date inside a template', 'src/core/ipam/x.ts', 'const text = `it is $' + '{Date.now()}`;'],
    ['a core file that imports Node', 'src/core/net/x.ts', `import { isIP } from 'node:net';`],
    ['a core file that imports a package other than zod', 'src/core/api/x.ts', `import yaml from 'yaml';`],
    ['zod outside its folder', 'src/core/config/x.ts', `import * as z from 'zod';`],
    ['a core room that imports one below it', 'src/core/net/x.ts', `import { y } from '../config/config.ts';`],
    ['config importing ipam', 'src/core/config/x.ts', `import { y } from '../ipam/allocator.ts';`],
    ['a protocol room importing the speaker', 'src/core/layer2/x.ts', `import { y } from '../speaker/fsm.ts';`],
    ['BGP on the wire importing sessions', 'src/core/bgp/wire/x.ts', `import { y } from '../session/fsm.ts';`],
    ['reasons importing a decision', 'src/core/reasons/x.ts', `import { y } from '../speaker/bgp-decision.ts';`],
    ['the controller importing the speaker', 'src/core/controller/x.ts', `import { y } from '../speaker/fsm.ts';`],
    ['a core file outside every room', 'src/core/attic/x.ts', `import { y } from '../net/address.ts';`],
    ['an adapter that imports an app', 'src/adapters/http/x.ts', `import { y } from '../../apps/cli/errors.ts';`],
    ['an adapter that imports another one', 'src/adapters/http/x.ts', `import { y } from '../wire/wire.ts';`],
    ['an adapter that loads another one late', 'src/adapters/http/x.ts', `const y = await import('../wire/wire.ts');`],
    ['the embedded API importing an app', 'src/kube-api/http/x.ts', `import { y } from '../../apps/cli/errors.ts';`],
    ['an app behind the door of the API', 'src/apps/cli/x.ts', `import { y } from '../../kube-api/http/handler.ts';`],
    ['koffi outside the wire', 'src/adapters/linux/x.ts', `import koffi from 'koffi';`],
    ['a package that nobody is in charge of', 'src/apps/cli/x.ts', `import _ from 'lodash';`],
    ['an oracle of the tests in the program', 'src/core/net/x.ts', `import ip from 'ipaddr.js';`],
    ['the simulation importing the lab', 'sim/x.ts', `import { y } from '../lab/net/lan.ts';`],
    ['the lab importing an app', 'lab/net/x.ts', `import { y } from '../../src/apps/cli/errors.ts';`],
    ['a bench importing a test', 'bench/x.ts', `import { y } from '../test/builders.ts';`],
    ['an app with a timer', 'src/apps/speaker/x.ts', 'const timer = setTimeout(f, 1);'],
    ['an app that sleeps', 'src/apps/cli/x.ts', `import { setTimeout } from 'node:timers/promises';`],
    ['an app that asks for the time', 'src/apps/cli/x.ts', 'const now = new Date();'],
    ['an adapter that asks for the time', 'src/adapters/http/x.ts', 'const { now = Date.now } = options;'],
    ['an adapter outside the table with a deadline', 'src/adapters/http/x.ts', 'f(AbortSignal.timeout(1));'],
    ['the embedded API with a timer', 'src/kube-api/http/x.ts', 'const timer = setInterval(f, 1);'],
    ['an app that writes to a terminal by itself', 'src/apps/cli/x.ts', 'process.stdout.write(text);'],
    ['a second log', 'src/adapters/http/x.ts', 'const log = pino({});'],
    ['the image importing an app', 'image/x.ts', `import { y } from '../src/apps/cli/errors.ts';`],
  ])('refuses %s', (_, path, source) => {
    expect(breaches(path, source)).toHaveLength(1);
  });

  it('does not mind the words in comments and texts', () => {
    expect(breaches('src/core/net/x.ts', `/** Date */ // process\nconst x = 'Date'; const y = \`Date\`;`)).toEqual([]);
  });

  it('lets everybody read and write moments', () => {
    expect(breaches('src/apps/cli/x.ts', 'const at = new Date(now); clearTimeout(x); Date.parse(text);')).toEqual([]);
  });

  it('lets a test use Node and bring what it needs', () => {
    const source = `import { createHash } from 'node:crypto';\nimport { x } from '../../adapters/driver/recording.ts';`;
    expect(breaches('src/core/net/x.test.ts', source)).toEqual([]);
  });
});
