import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePrefix } from '../../net/prefix.ts';
import { keyOf, type Route } from './route.ts';
import { RouteTable } from './route-table.ts';
import { applyUpdate, noRoutes, type RouteSet, snapshotOf } from './route-update.ts';

const route = (i: number, med: number): Route => ({
  prefix: parsePrefix(`198.51.${i >> 8}.${i & 255}/32`)!,
  localPref: 0,
  communities: [],
  largeCommunities: [],
  med,
});
const tableOf = (...routes: Route[]) => {
  const table = new RouteTable(7);
  for (const each of routes) table.set(each);
  return table;
};

describe('a table of routes', () => {
  it('knows what has changed since a version', () => {
    const table = tableOf(route(1, 1), route(2, 1));
    const { version } = table;
    table.set(route(1, 1));
    expect(table.version).toBe(version);
    expect(table.updateSince(version)).toBeUndefined();
    table.set(route(1, 2));
    table.delete(keyOf(route(2, 1)));
    table.delete('192.0.2.0/24');
    expect(table.updateSince(version)).toEqual({
      kind: 'delta',
      audience: 7,
      from: version,
      to: version + 2,
      changed: [route(1, 2)],
      withdrawn: ['198.51.0.2/32'],
    });
  });

  it('always tells the last changes, and the whole where a reader is far behind', () => {
    const table = tableOf();
    for (let i = 0; i < 5000; i++) {
      const { version } = table;
      table.set(route(i % 10, i));
      expect(table.updateSince(version)).toMatchObject({ kind: 'delta', changed: [{ med: i }], withdrawn: [] });
    }
    expect(table.updateSince(1)).toMatchObject({ kind: 'snapshot', version: 5000 });
    expect(table.updateSince(undefined)).toMatchObject({ kind: 'snapshot', version: 5000 });
  });

  it('lets its readers hold what it holds, and those who read from them', () => {
    const change = fc.tuple(fc.nat(40), fc.option(fc.nat(2), { nil: undefined }));
    fc.assert(
      fc.property(
        fc.array(fc.array(change, { maxLength: 700, size: 'max' }), { maxLength: 8, size: 'max' }),
        (turns) => {
          const table = tableOf();
          const wanted = new Map<string, Route>();
          const reader = noRoutes();
          let known: number | undefined;
          for (const turn of turns) {
            for (const [i, med] of turn) {
              const key = keyOf(route(i, 0));
              if (med === undefined) table.delete(key);
              else table.set(route(i, med));
              if (med === undefined) wanted.delete(key);
              else wanted.set(key, route(i, med));
            }
            const update = table.updateSince(known);
            if (update !== undefined) applyUpdate(reader, update);
            known = table.version;
            const late: RouteSet = noRoutes();
            applyUpdate(late, snapshotOf(reader));
            for (const set of [reader, late]) {
              expect(set.version).toBe(table.version);
              expect(set.routes).toEqual(wanted);
            }
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('is not followed by whoever holds another version, or what others are told', () => {
    const table = tableOf(route(1, 1));
    const reader = noRoutes();
    applyUpdate(reader, table.updateSince(undefined)!);
    const { version } = table;
    table.set(route(2, 1));
    const skipped = table.version;
    table.set(route(3, 1));
    expect(() => applyUpdate(reader, table.updateSince(skipped)!)).toThrow(RangeError);
    const foreign = { ...table.updateSince(version)!, audience: 8 };
    expect(() => applyUpdate(reader, foreign)).toThrow(RangeError);
    applyUpdate(reader, table.updateSince(version)!);
    expect(reader.routes.size).toBe(3);
  });
});
