import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddressEntry } from '../config/address-entry.ts';
import type { Pool } from '../config/config.ts';
import { formatAddress, parseAddress } from '../net/address.ts';
import { Allocator } from './allocator.ts';
import { isBuggy } from './ordinals.ts';
import type { AllocationRequest } from './request.ts';
import { TakenRuns } from './taken-runs.ts';

const pool = (name: string, addresses: readonly string[], more: Partial<Pool> = {}): Pool => ({
  name,
  labels: {},
  autoAssign: true,
  avoidBuggyIPs: false,
  ranges: addresses.map((text) => {
    const parsed = parseAddressEntry(text);
    if (!parsed.ok) throw new Error(parsed.message);
    return parsed.range;
  }),
  ...more,
});
const request = (service: string, more: Partial<AllocationRequest> = {}): AllocationRequest => ({
  service,
  namespace: 'default',
  labels: {},
  families: ['ipv4'],
  requireBoth: true,
  use: { sharingKey: '', backendKey: '', ports: [] },
  ...more,
});
const allocator = (...pools: Pool[]) => {
  const made = new Allocator();
  made.setPools(pools);
  return made;
};
/** The addresses given, or the verdicts of all pools. */
const ask = (from: Allocator, service: string, more: Partial<AllocationRequest> = {}) => {
  const decision = from.allocate(request(service, more));
  return decision.ok
    ? decision.allocation.addresses.map(formatAddress).join()
    : decision.checks.map(({ pool, verdict }) => `${pool}:${verdict}`).join();
};
const ip = (text: string) => parseAddress(text)!;

describe('the set of taken numbers', () => {
  it('agrees with a plain set', () => {
    const operation = fc.tuple(fc.constantFrom('add', 'delete'), fc.nat(20));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 80, size: 'max' }), (operations) => {
        const runs = new TakenRuns();
        const model = new Set<number>();
        for (const [kind, n] of operations) {
          if (kind === 'add') {
            expect(runs.add(BigInt(n))).toBe(!model.has(n));
            model.add(n);
          } else expect(runs.delete(BigInt(n))).toBe(model.delete(n));
          expect(runs.size).toBe(model.size);
          for (let from = 0; from <= 20; from += 5) {
            let expected: number | undefined = from;
            while (model.has(expected)) expected++;
            expect(runs.lowestFree(BigInt(from), 20n)).toBe(expected > 20 ? undefined : BigInt(expected));
          }
          const taken = Array.from({ length: 21 }, (_, i) => i).filter((i) => runs.has(BigInt(i)));
          expect(taken).toEqual([...model].sort((a, b) => a - b));
        }
      }),
    );
  });
});

describe('allocation', () => {
  it('is lowest free, first fit, range by range in the order listed', () => {
    const a = allocator(pool('p', ['192.0.2.8/31', '192.0.2.0/31']));
    expect(['a', 'b', 'c', 'd', 'e'].map((s) => ask(a, s))).toEqual([
      '192.0.2.8',
      '192.0.2.9',
      '192.0.2.0',
      '192.0.2.1',
      'p:exhausted',
    ]);
  });

  it('gives a released address again', () => {
    const a = allocator(pool('p', ['192.0.2.0/30']));
    for (const s of ['a', 'b', 'c']) ask(a, s);
    a.release('b');
    expect(ask(a, 'd')).toBe('192.0.2.1');
  });

  it('goes back to a range that was full when an address of it is released', () => {
    const a = allocator(pool('p', ['192.0.2.8/31', '2001:db8::/127', '192.0.2.0/31', '192.0.2.4/32']));
    for (const s of ['a', 'b', 'c', 'd', 'e']) ask(a, s);
    expect(ask(a, 'f')).toBe('p:exhausted');
    a.release('c');
    a.release('b');
    expect(['f', 'g', 'h'].map((s) => ask(a, s))).toEqual(['192.0.2.9', '192.0.2.0', 'p:exhausted']);
  });

  it('skips .0 and .255 when told to, also for requests', () => {
    const a = allocator(pool('p', ['192.0.2.254-192.0.3.1'], { avoidBuggyIPs: true }));
    expect([ask(a, 'a'), ask(a, 'b'), ask(a, 'c')]).toEqual(['192.0.2.254', '192.0.3.1', 'p:exhausted']);
    expect(a.claim(request('d'), [ip('192.0.2.255')])).toMatchObject({
      ok: false,
      refusal: { kind: 'buggy', pool: 'p' },
    });
  });

  it.each<[string, string, number]>([
    ['192.0.2.255-192.0.3.2', '192.0.3.1', 2],
    ['192.0.2.254-192.0.3.2', '192.0.2.254', 3],
    ['192.0.2.0-192.0.2.2', '192.0.2.1', 2],
    ['192.0.2.254-192.0.3.0', '192.0.2.254', 1],
    ['192.0.2.253-192.0.2.255', '192.0.2.253', 2],
    ['192.0.2.255-192.0.3.0', 'p:only-avoided', 0],
  ])('begins and ends a range that avoids .0 and .255 right: %s', (range, first, size) => {
    const from = allocator(pool('p', [range], { avoidBuggyIPs: true }));
    expect(from.usage('p').availableIPv4).toBe(size);
    expect(ask(from, 'a')).toBe(first);
  });

  it('never gives what avoidBuggyIPs forbids, whatever the range', () => {
    fc.assert(
      fc.property(fc.nat(1200), fc.nat(1200), (x, y) => {
        const [first, last] = [Math.min(x, y), Math.max(x, y)].map((n) =>
          formatAddress({ family: 'ipv4', value: 0xc0000200n + BigInt(n) }),
        );
        const a = allocator(pool('p', [`${first}-${last}`], { avoidBuggyIPs: true }));
        const expected = Array.from(
          { length: Math.abs(x - y) + 1 },
          (_, i) => 0xc0000200n + BigInt(Math.min(x, y) + i),
        ).filter((v) => !isBuggy(v));
        expect(a.usage('p').availableIPv4).toBe(expected.length);
        for (const value of expected) expect(ask(a, String(value))).toBe(formatAddress({ family: 'ipv4', value }));
        expect(ask(a, 'one more')).toBe(expected.length === 0 ? 'p:only-avoided' : 'p:exhausted');
      }),
      { numRuns: 30 },
    );
  });

  it('tells the verdict on every pool', () => {
    const a = allocator(
      pool('full', ['192.0.2.0/32']),
      pool('manual', ['192.0.2.1/32'], { autoAssign: false }),
      pool('six', ['2001:db8::/126']),
      pool('theirs', ['192.0.2.2/32'], {
        allocation: { priority: 0, namespaces: new Set(['x']), limitsNamespaces: true, serviceSelectors: [] },
      }),
    );
    ask(a, 'first');
    expect(ask(a, 'second')).toBe('manual:auto-assign-off,theirs:not-selected,full:exhausted,six:wrong-family');
    expect(ask(a, 'second', { pool: 'manual' })).toBe('192.0.2.1');
    expect(ask(a, 'third', { pool: 'nowhere' })).toBe('nowhere:no-such-pool');
  });

  it('says of every pool what it could do, without a change', () => {
    const a = allocator(
      pool('full', ['192.0.2.0/32']),
      pool('manual', ['192.0.2.1/32'], { autoAssign: false }),
      pool('open', ['192.0.2.2-192.0.2.3', '2001:db8:1::/126']),
      pool('other', ['192.0.2.4/31']),
      pool('six', ['2001:db8::/126']),
      pool('theirs', ['192.0.2.6/32'], {
        allocation: { priority: 0, namespaces: new Set(['x']), limitsNamespaces: true, serviceSelectors: [] },
      }),
    );
    const examine = (service: string, more: Partial<AllocationRequest> = {}) =>
      Object.fromEntries(a.examine(request(service, more)).map(({ pool, verdict }) => [pool, verdict]));
    expect(ask(a, 'first', { wished: [ip('192.0.2.0')] })).toBe('192.0.2.0');
    const rest = { full: 'exhausted', manual: 'auto-assign-off', six: 'wrong-family', theirs: 'not-selected' };
    expect(examine('new')).toEqual({ ...rest, open: 'usable', other: 'outranked' });
    expect(examine('new')).toEqual(examine('new'));
    expect(examine('first')).toEqual({ ...rest, full: 'chosen', open: 'usable', other: 'usable' });
    expect(examine('new', { pool: 'manual' })).toMatchObject({ manual: 'usable', open: 'not-asked-for' });
    expect(examine('new', { families: ['ipv4', 'ipv6'] })).toMatchObject({ open: 'usable', other: 'one-family-only' });
    expect(examine('new', { families: ['ipv4', 'ipv6'], requireBoth: false })).toMatchObject({ other: 'outranked' });
    expect(examine('new', { wished: [ip('192.0.2.4')] })).toMatchObject({ open: 'outside', other: 'usable' });
    expect(examine('new', { wished: [ip('192.0.2.0')] })).toMatchObject({ full: 'in-use', open: 'outside' });
    expect(examine('new', { wished: [ip('192.0.2.2'), ip('2001:db8::1')] })).toMatchObject({ open: 'outside' });
  });

  it('prefers pinned pools, lower priority numbers first, 0 last', () => {
    const pinned = (priority: number) => ({
      allocation: { priority, namespaces: new Set<string>(), limitsNamespaces: false, serviceSelectors: [] },
    });
    const a = allocator(
      pool('open', ['192.0.2.0/32']),
      pool('p0', ['192.0.2.1/32'], pinned(0)),
      pool('p20', ['192.0.2.2/32'], pinned(20)),
      pool('p10', ['192.0.2.3/32'], pinned(10)),
    );
    expect(['a', 'b', 'c', 'd'].map((s) => ask(a, s))).toEqual(['192.0.2.3', '192.0.2.2', '192.0.2.1', '192.0.2.0']);
  });

  it.each<[string, Partial<AllocationRequest>, string]>([
    ['both families from one pool', { families: ['ipv6', 'ipv4'] }, '192.0.2.8,2001:db8::8'],
    ['one family', { families: ['ipv6'] }, '2001:db8::'],
  ])('serves %s', (_, more, expected) => {
    const a = allocator(
      pool('four', ['192.0.2.0/30']),
      pool('six', ['2001:db8::/126']),
      pool('two', ['192.0.2.8/30', '2001:db8::8/126']),
    );
    expect(ask(a, 's', more)).toBe(expected);
  });

  it('serves PreferDualStack from a pool of one family when there is no other, the primary one first', () => {
    const a = allocator(pool('four', ['192.0.2.0/30']), pool('six', ['2001:db8::/126']));
    expect(ask(a, 's', { families: ['ipv6', 'ipv4'], requireBoth: false })).toBe('2001:db8::');
    expect(ask(a, 't', { families: ['ipv6', 'ipv4'] })).toBe('four:one-family-only,six:one-family-only');
  });
});

describe('claims', () => {
  it('adopt what a Service holds, again and again, and keep others out', () => {
    const a = allocator(pool('p', ['192.0.2.0/30']));
    const claim = a.claim(request('a'), [ip('192.0.2.0')]);
    expect(a.claim(request('a'), [ip('192.0.2.0')])).toEqual(claim);
    expect(a.claim(request('b'), [ip('192.0.2.0')])).toMatchObject({
      ok: false,
      refusal: { kind: 'in-use', holder: 'a' },
    });
    expect(ask(a, 'b')).toBe('192.0.2.1');
  });

  it('move a Service and free what it had', () => {
    const a = allocator(pool('p', ['192.0.2.0/30']));
    ask(a, 'a');
    a.claim(request('a'), [ip('192.0.2.3')]);
    expect(ask(a, 'b')).toBe('192.0.2.0');
  });

  it('are refused outside every pool and in pools that are reserved for others', () => {
    const theirs = {
      allocation: { priority: 0, namespaces: new Set<string>(), limitsNamespaces: true, serviceSelectors: [] },
    };
    const a = allocator(pool('p', ['192.0.2.0/30'], theirs));
    expect(a.claim(request('a'), [ip('198.51.100.1')])).toMatchObject({ refusal: { kind: 'not-in-a-pool' } });
    expect(a.claim(request('a'), [ip('192.0.2.1')])).toMatchObject({ refusal: { kind: 'not-selected', pool: 'p' } });
  });

  it('are refused when the addresses are of two pools, and name the pool that avoids one', () => {
    const a = allocator(
      pool('p', ['192.0.2.0/30']),
      pool('q', ['2001:db8::/126', '198.51.100.0/30'], { avoidBuggyIPs: true }),
    );
    const refusal = (...addresses: string[]) => {
      const decision = a.claim(request('a', { families: ['ipv4', 'ipv6'] }), addresses.map(ip));
      return decision.ok ? undefined : decision.refusal;
    };
    expect(refusal('192.0.2.1', '2001:db8::1')).toEqual({ kind: 'different-pools', pools: ['p', 'q'] });
    expect(refusal('198.51.100.0', '2001:db8::1')).toMatchObject({ kind: 'buggy', pool: 'q' });
    expect(refusal('203.0.113.0', '2001:db8::1')).toMatchObject({ kind: 'not-in-a-pool' });
    expect(a.allocationOf('a')).toBeUndefined();
    expect(refusal('198.51.100.1', '2001:db8::1')).toBeUndefined();
  });
});

describe('a change of pools', () => {
  it('takes no address away: who holds one may be told why he cannot have it any more, and it is of another pool now if one covers it', () => {
    const a = allocator(pool('p', ['192.0.2.0/30']));
    for (const s of ['a', 'b', 'c']) ask(a, s);
    a.setPools([pool('q', ['192.0.2.0/31'])]);
    expect(['a', 'b', 'c'].map((s) => a.allocationOf(s)?.pool)).toEqual(['q', 'q', 'p']);
    expect(a.refusal(request('b'), [ip('192.0.2.1')])).toBeUndefined();
    expect(a.refusal(request('c'), [ip('192.0.2.2')])).toMatchObject({ kind: 'not-in-a-pool' });
    expect(ask(a, 'd')).toBe('q:exhausted');
    a.setPools([pool('p', ['192.0.2.0/30'])]);
    expect(ask(a, 'd')).toBe('192.0.2.3');
  });

  it('leaves a Service what it still shows: that is its own before any other', () => {
    const a = allocator(pool('p', ['192.0.2.0/30']));
    a.linger('a', [ip('192.0.2.2')], request('a').use);
    expect([ask(a, 'b'), ask(a, 'a'), ask(a, 'c')]).toEqual(['192.0.2.0', '192.0.2.2', '192.0.2.1']);
  });
});

describe('counters (docs/behaviour/addresses.md)', () => {
  it.each<[string, boolean, number]>([
    ['203.0.113.0/24', false, 256],
    ['203.0.113.0/24', true, 254],
    ['203.0.113.128/25', false, 128],
    ['203.0.113.128/25', true, 127],
    ['192.0.2.0/31', false, 2],
    ['192.0.2.0/31', true, 1],
    ['192.0.2.0/32', true, 0],
  ])('%s with avoidBuggyIPs %s has %d addresses', (range, avoidBuggyIPs, size) => {
    expect(allocator(pool('p', [range], { avoidBuggyIPs })).usage('p').availableIPv4).toBe(size);
  });

  it('count what is used, and stay within int64 for huge pools', () => {
    const a = allocator(pool('p', ['192.0.2.0/30', '2001:db8::/64']));
    ask(a, 'a', { families: ['ipv4', 'ipv6'] });
    const usage = a.usage('p');
    expect(usage).toMatchObject({ assignedIPv4: 1, assignedIPv6: 1, availableIPv4: 3 });
    expect(BigInt(JSON.stringify(usage.availableIPv6))).toBeLessThan(1n << 63n);
  });
});

describe('sharing (docs/behaviour/allocation.md)', () => {
  const use = (sharingKey: string, backendKey: string, ...ports: string[]) => ({
    use: { sharingKey, backendKey, ports },
  });
  const WEB = use('k', '', 'TCP/80');

  it.each<[string, Partial<AllocationRequest>, Partial<AllocationRequest>, string]>([
    ['the same key and other ports', WEB, use('k', '', 'TCP/443'), '192.0.2.0'],
    ['the same port of another protocol', WEB, use('k', '', 'UDP/80'), '192.0.2.0'],
    ['the same port', WEB, use('k', '', 'TCP/80'), '192.0.2.1'],
    ['another key', WEB, use('other', '', 'TCP/443'), '192.0.2.1'],
    ['no key', WEB, use('', '', 'TCP/443'), '192.0.2.1'],
    ['no key on either side', use('', '', 'TCP/80'), use('', '', 'TCP/443'), '192.0.2.1'],
    ['the same endpoints under Local', use('k', 'app=a', 'TCP/80'), use('k', 'app=a', 'TCP/443'), '192.0.2.0'],
    ['other endpoints under Local', use('k', 'app=a', 'TCP/80'), use('k', 'app=b', 'TCP/443'), '192.0.2.1'],
    ['Local beside Cluster', use('k', '', 'TCP/80'), use('k', 'app=a', 'TCP/443'), '192.0.2.1'],
  ])('with %s', (_, first, second, expected) => {
    const a = allocator(pool('p', ['192.0.2.0/31']));
    ask(a, 'first', first);
    expect(ask(a, 'second', second)).toBe(expected);
  });

  it('names the Service and the port that are in the way when there is no other address', () => {
    const a = allocator(pool('p', ['192.0.2.0/32']));
    ask(a, 'first', WEB);
    const decision = a.allocate(request('second', WEB));
    expect(decision.checks).toMatchObject([
      { pool: 'p', verdict: 'port-clash', clash: { kind: 'port-clash', holder: 'first', key: 'k', port: 'TCP/80' } },
    ]);
  });

  it('counts a shared address once, and frees it with its last user', () => {
    const a = allocator(pool('p', ['192.0.2.0/31']));
    ask(a, 'first', WEB);
    ask(a, 'second', use('k', '', 'TCP/443'));
    expect(a.usage('p').assignedIPv4).toBe(1);
    a.release('first');
    expect(ask(a, 'third')).toBe('192.0.2.1');
    a.release('second');
    expect(ask(a, 'fourth')).toBe('192.0.2.0');
  });

  it('lets the only user of an address change key and ports, and holds others to the new ones', () => {
    const a = allocator(pool('p', ['192.0.2.0/31']));
    ask(a, 'first', WEB);
    a.claim(request('first', use('new', '', 'TCP/443')), [ip('192.0.2.0')]);
    expect(ask(a, 'second', use('new', '', 'TCP/80'))).toBe('192.0.2.0');
    expect(ask(a, 'third', use('k', '', 'TCP/81'))).toBe('192.0.2.1');
  });

  it('under a key goes on at the addresses where somebody still holds it, and ends where nobody does', () => {
    const a = allocator(pool('p', ['192.0.2.0/31']));
    const ports = (...ports: string[]) => use('k', '', ...ports);
    expect([ask(a, 'first', ports('TCP/80')), ask(a, 'second', ports('TCP/80'))]).toEqual(['192.0.2.0', '192.0.2.1']);
    a.release('first');
    expect(ask(a, 'plain')).toBe('192.0.2.0');
    expect(ask(a, 'third', ports('TCP/443'))).toBe('192.0.2.1');
    a.release('second');
    expect(ask(a, 'fourth', ports('TCP/80'))).toBe('192.0.2.1');
    for (const service of ['third', 'fourth']) a.release(service);
    expect(ask(a, 'other')).toBe('192.0.2.1');
    expect(ask(a, 'fifth', ports('TCP/81'))).toBe('p:exhausted');
  });

  it.each([
    ['goes to another key', () => use('other', '', 'TCP/443')],
    ['gives the key up', () => use('', '', 'TCP/443')],
  ])('leaves the others of an address alone when one that was not alone %s', (_, changed) => {
    const a = allocator(pool('p', ['192.0.2.0/31']));
    for (const port of ['TCP/80', 'TCP/443']) ask(a, port, use('k', '', port));
    expect(a.claim(request('TCP/443', changed()), [ip('192.0.2.0')])).toMatchObject({
      refusal: { holder: 'TCP/80' },
    });
    expect(ask(a, 'TCP/443', changed())).toBe('192.0.2.1');
    expect(ask(a, 'plain')).toBe('p:exhausted');
    expect(ask(a, 'third', use('k', '', 'TCP/81'))).toBe('192.0.2.0');
    expect(a.usage('p')).toMatchObject({ assignedIPv4: 2, availableIPv4: 0 });
  });

  it('puts each key with its own holder, when a pool has several keys', () => {
    const a = allocator(pool('p', ['192.0.2.0/31']));
    expect(ask(a, 'one', use('one', '', 'TCP/80'))).toBe('192.0.2.0');
    expect(ask(a, 'two', use('two', '', 'TCP/80'))).toBe('192.0.2.1');
    expect(ask(a, 'two more', use('two', '', 'TCP/443'))).toBe('192.0.2.1');
    expect(ask(a, 'one more', use('one', '', 'TCP/443'))).toBe('192.0.2.0');
    expect(ask(a, 'three', use('three', '', 'TCP/443'))).toBe('p:exhausted');
  });

  it.each(['192.0.2.0', '192.0.2.255'])('stays inside a pool that avoids %s while somebody still shows it', (shown) => {
    const a = allocator(pool('p', ['192.0.2.0/24'], { avoidBuggyIPs: true }));
    for (let i = 1; i <= 254; i++) ask(a, `plain-${i}`);
    a.linger('first', [ip(shown)], WEB.use);
    expect(ask(a, 'second', use('k', '', 'TCP/443'))).toBe('p:exhausted');
  });

  it('goes by the order of the pool among shared and free addresses', () => {
    const a = allocator(pool('p', ['192.0.2.0/30']));
    ask(a, 'plain');
    ask(a, 'first', WEB);
    a.release('plain');
    expect(ask(a, 'second', use('k', '', 'TCP/443'))).toBe('192.0.2.0');
  });
});
