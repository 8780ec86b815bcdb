import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { ANNOTATION_PREFIX, ANNOTATIONS } from '../../src/core/api/annotations.ts';

const DOCS = resolve(import.meta.dirname, '../../docs');
/** We write it; nobody has to know it. */
const WRITTEN = ['ip-allocated-from-pool'];

it('every annotation that users may write is in the documentation', () => {
  const text = readdirSync(DOCS)
    .filter((name) => name.endsWith('.md'))
    .map((name) => readFileSync(join(DOCS, name), 'utf8'))
    .join('\n');
  const missing = Object.keys(ANNOTATIONS).filter((name) => !text.includes(ANNOTATION_PREFIX + name));
  expect(missing).toEqual(WRITTEN);
});
