import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { Metrics } from '../../src/adapters/metrics/metrics.ts';

const ROOT = resolve(import.meta.dirname, '../..');

it('alert rules, dashboards and documents name only metrics that exist', () => {
  const known = new Set(new Metrics().catalogue.map(({ name }) => name));
  const files = ['charts/metallb/templates', 'charts/metallb/files/dashboards', 'docs'].flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => /\.(yaml|md|json)$/.test(name))
      .map((name) => join(ROOT, folder, name)),
  );
  const named = files.flatMap((file) => [
    ...readFileSync(file, 'utf8').matchAll(/\bmetallb_[a-z0-9_]+[a-z0-9]\b(?!\*|_)/g),
  ]);
  expect(named.length).toBeGreaterThan(20);
  // Histograms have their suffixes.
  const bare = (name: string) => name.replace(/_(bucket|sum|count)$/, '');
  expect([...new Set(named.map(([name]) => bare(name)))].filter((name) => !known.has(name))).toEqual([]);
});
