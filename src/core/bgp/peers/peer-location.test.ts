import { describe, expect, it } from 'vitest';
import type { Peer } from '../../config/config.ts';
import { located } from './peer-location.ts';

const template = (key: string) => ({ target: { kind: 'node-annotation', key } }) as Peer;
const node = (annotations: Record<string, string>) => ({ metadata: { name: 'n', annotations } });

describe('a peer whose router is in an annotation of the node', () => {
  it.each(['constructor', 'toString', 'example.com/router'])(
    'is found by %s, and only by an annotation of the node itself',
    (key) => {
      expect(located(template(key), node({}), []).target).toEqual({
        kind: 'unknown',
        why: `the Node has no annotation ${key}: set it to the address of the router`,
      });
      expect(located(template(key), node({ [key]: '192.0.2.1' }), []).target).toMatchObject({ kind: 'address' });
    },
  );
});
