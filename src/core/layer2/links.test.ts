import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { parseMac } from '../net/mac.ts';
import { layer2Machine, TICK } from './fsm.ts';
import type { Interface } from './messages.ts';
import { initialLayer2, type Layer2Input } from './state.ts';

const link = (carries: Pick<Interface, 'arp' | 'ndp'>): Interface => ({
  name: 'eth0',
  index: 2,
  mac: parseMac('02:00:00:00:00:02')!,
  ...carries,
});
const BOTH = { arp: true, ndp: true };
const ONLY_ARP = { arp: true, ndp: false };
const ONLY_NDP = { arp: false, ndp: true };

/** What a node with one address of each family does about its link, long after its takeover. */
function changeOfLink(before: Interface, after: Interface) {
  let state = initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing: false });
  const feed = (input: Layer2Input | typeof TICK, now: number) => {
    const { next, outputs } = layer2Machine.step(state, input, now);
    state = next;
    return outputs;
  };
  const announcements = ['192.0.2.7', '2001:db8::7'].map((address) => ({ address: parseAddress(address)! }));
  feed({ kind: 'interfaces', interfaces: [before] }, 0);
  feed({ kind: 'announce', announcements, handingOver: [] }, 0);
  for (let at = layer2Machine.nextDeadline(state)?.at; at !== undefined; at = layer2Machine.nextDeadline(state)?.at)
    feed(TICK, at);
  const outputs = feed({ kind: 'interfaces', interfaces: [after] }, 60_000);
  return {
    told: new Set(outputs.flatMap((output) => (output.kind === 'send' ? [output.protocol] : []))),
    groups: outputs.find(({ kind }) => kind === 'groups'),
  };
}

describe('a link that changes', () => {
  it('is told of the IPv4 addresses when it comes to carry ARP', () => {
    expect(changeOfLink(link(ONLY_NDP), link(BOTH)).told).toContain('arp');
  });

  it('is told of the IPv6 addresses, and their groups are joined, when it comes to carry Neighbor Discovery', () => {
    const { told, groups } = changeOfLink(link(ONLY_ARP), link(BOTH));
    expect(told).toContain('ndp');
    expect(groups).toEqual({ kind: 'groups', groups: [{ interface: 2, group: 'ff02::1:ff00:7' }] });
  });

  it.each<[string, Interface, Interface]>([
    ['loses ARP', link(BOTH), link(ONLY_NDP)],
    ['loses Neighbor Discovery', link(BOTH), link(ONLY_ARP)],
    ['stays as it is', link(BOTH), link(BOTH)],
  ])('is told nothing when it %s', (_, before, after) => {
    expect([...changeOfLink(before, after).told]).toEqual([]);
  });

  it('leaves the groups when it loses Neighbor Discovery', () => {
    expect(changeOfLink(link(BOTH), link(ONLY_ARP)).groups).toEqual({ kind: 'groups', groups: [] });
  });

  it('is told again under another MAC', () => {
    const other = { ...link(BOTH), mac: parseMac('02:00:00:00:00:03')! };
    expect([...changeOfLink(link(BOTH), other).told].sort()).toEqual(['arp', 'ndp']);
  });
});
