import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePrefix } from '../../net/prefix.ts';
import { keyOf, type Route } from './route.ts';
import { RouteTable } from './route-table.ts';

const route = (i: number, med: number): Route => ({
  prefix: parsePrefix(`198.51.${i >> 8}.${i & 255}/32`)!,
  localPref: 0,
  communities: [],
  largeCommunities: [],
  med,
});

describe('a table of routes', () => {
  it('knows what has changed since a version', () => {
    const table = RouteTable.of([route(1, 1), route(2, 1)]);
    const { version } = table;
    table.set(route(1, 1));
    expect(table.version).toBe(version);
    expect(table.changedSince(version)).toEqual([]);
    table.set(route(1, 2));
    table.delete(keyOf(route(2, 1)));
    table.delete('192.0.2.0/24');
    expect(table.changedSince(version)).toEqual(['198.51.0.1/32', '198.51.0.2/32']);
  });

  it('always tells the last changes, and nothing of those long ago', () => {
    const table = new RouteTable();
    for (let i = 0; i < 5000; i++) {
      const { version } = table;
      table.set(route(i % 10, i));
      expect(table.changedSince(version)).toHaveLength(1);
    }
    expect(table.changedSince(1)).toBeUndefined();
  });

  it('lets a reader who follows the journal, or starts anew where it does not reach, hold what it holds', () => {
    const change = fc.tuple(fc.nat(40), fc.option(fc.nat(2), { nil: undefined }));
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 700 }), { maxLength: 8 }), (turns) => {
        const table = new RouteTable();
        let [known, version] = [new Map<string, Route>(), 0];
        for (const turn of turns) {
          for (const [i, med] of turn)
            if (med === undefined) table.delete(keyOf(route(i, 0)));
            else table.set(route(i, med));
          const changed = table.changedSince(version);
          if (changed === undefined) known = new Map();
          for (const key of changed ?? table.keys()) {
            const now = table.get(key);
            if (now === undefined) known.delete(key);
            else known.set(key, now);
          }
          version = table.version;
          expect(new Map(known)).toEqual(new Map([...table.values()].map((each) => [keyOf(each), each])));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('is written down in the order of its prefixes', () => {
    const table = RouteTable.of([route(9, 0), route(1, 0)]);
    expect(JSON.parse(JSON.stringify(table.toJSON().map(keyOf)))).toEqual(['198.51.0.1/32', '198.51.0.9/32']);
  });
});
