import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { breaches } from './imports.ts';

const ROOT = resolve(import.meta.dirname, '../..');

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => `${folder}/${name}`);
}

describe('the architecture', () => {
  it('holds in every source file', () => {
    const paths = ['src', 'sim', 'lab'].flatMap(sources);
    expect(paths.length).toBeGreaterThan(60);
    expect(paths.flatMap((path) => breaches(path, readFileSync(join(ROOT, path), 'utf8')))).toEqual([]);
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
    ['one protocol room importing reconcile', 'src/core/layer2/x.ts', `import { y } from '../reconcile/speaker.ts';`],
    ['an adapter that imports an app', 'src/adapters/http/x.ts', `import { y } from '../../apps/cli/errors.ts';`],
    ['an adapter that imports another one', 'src/adapters/http/x.ts', `import { y } from '../wire/wire.ts';`],
    ['koffi outside the wire', 'src/adapters/linux/x.ts', `import koffi from 'koffi';`],
    ['a package that nobody is in charge of', 'src/apps/cli/x.ts', `import _ from 'lodash';`],
    ['the simulation importing an adapter', 'sim/x.ts', `import { y } from '../src/adapters/errors.ts';`],
    ['the lab importing an app', 'lab/x.ts', `import { y } from '../src/apps/cli/errors.ts';`],
  ])('refuses %s', (_, path, source) => {
    expect(breaches(path, source)).toHaveLength(1);
  });

  it('does not mind the words in comments and texts', () => {
    expect(breaches('src/core/net/x.ts', `/** Date */ // process\nconst x = 'Date'; const y = \`Date\`;`)).toEqual([]);
  });
});
