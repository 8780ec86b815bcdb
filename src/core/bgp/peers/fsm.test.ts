import { describe, expect, it } from 'vitest';
import { bgpPeer } from '../../../../test/builders.ts';
import type { BfdProfile, Peer, PeerTarget } from '../../config/config.ts';
import { parseAddress } from '../../net/address.ts';
import { formatPrefix, parsePrefix } from '../../net/prefix.ts';
import type { Route } from '../rib/route.ts';
import { RouteTable } from '../rib/route-table.ts';
import { BEFORE_OPEN, decodeMessage, encodeMessage } from '../wire/codec.ts';
import type { BgpMessage, Capability } from '../wire/messages.ts';
import { peersMachine } from './fsm.ts';
import { type ConnectionInput, initialPeers, isRerouting, type PeersInput, type PeersOutput } from './state.ts';
import type { PeerPlan } from './wanted.ts';

const peer = (name: string, more: Partial<Peer> = {}) => bgpPeer(name, `192.0.2.${name.charCodeAt(0)}`, more);
const plan = (of: Peer, bfd?: BfdProfile, audience = 1): PeerPlan => ({ peer: of, bfd, audience });
const unnumbered: PeerTarget = { kind: 'interface', name: 'eth1' };
const PROFILE: BfdProfile = { name: 'quick', echoMode: false, passiveMode: false };
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const route = (last: number): Route => ({
  prefix: parsePrefix(`198.51.100.${last}/32`)!,
  localPref: 0,
  communities: [],
  largeCommunities: [],
});
const RESTART: Capability = {
  kind: 'graceful-restart',
  restarting: false,
  notification: true,
  restartTime: 120,
  families: [{ family: 'ipv4', forwarding: true }],
};

/** A node and its routers, which take every connection and agree to everything as long as they are `there`. */
function node() {
  const state = initialPeers();
  const tables = new Map<number, { table: RouteTable; told: number | undefined }>();
  let now = 0;
  const outputs: PeersOutput[] = [];
  const absent = new Set<string>();
  const capabilities: Capability[] = [];
  const tableOf = (audience: number) => {
    const known = tables.get(audience) ?? { table: new RouteTable(audience), told: undefined };
    tables.set(audience, known);
    return known;
  };
  const feed = (input: PeersInput | { kind: 'tick' }): void => {
    const { outputs: all } = peersMachine.step(state, input, now);
    outputs.push(...all);
    for (const output of all) if (output.kind === 'connect') answer(output.peer);
  };
  const connection = (name: string, input: ConnectionInput) => feed({ kind: 'session', peer: name, input });
  const hear = (name: string, message: BgpMessage) => {
    const bytes = encodeMessage(message, { fourOctetAs: true, extendedMessage: false });
    connection(name, { kind: 'frame', initiator: 'ours', bytes });
  };
  const answer = (name: string) => {
    if (absent.has(name)) {
      connection(name, { kind: 'connect-failed', why: 'the router does not answer' });
      return;
    }
    const local = { identifier: 1, addresses: [parseAddress('192.0.2.1')!] };
    connection(name, { kind: 'connected', initiator: 'ours', local });
    hear(name, {
      kind: 'open',
      version: 4,
      asn: 64501,
      holdTime: 90,
      identifier: 2,
      capabilities: [{ kind: 'multiprotocol', family: 'ipv4' }, ...capabilities],
    });
    hear(name, { kind: 'keepalive' });
  };
  return {
    state,
    feed,
    connection,
    absent,
    capabilities,
    now: () => now,
    /** Sets what there should be; `routes` by audience, the last octets of host routes. */
    want: (plans: readonly PeerPlan[], routes: Readonly<Record<number, readonly number[]>> = {}) => {
      for (const [audience, hosts] of Object.entries(routes)) {
        const { table } = tableOf(Number(audience));
        for (let last = 0; last < 256; last++) {
          if (hosts.includes(last)) table.set(route(last));
          else table.delete(`198.51.100.${last}/32`);
        }
      }
      const updates = [...new Set(plans.map(({ audience }) => audience))].flatMap((audience) => {
        const known = tableOf(audience);
        const update = known.table.updateSince(known.told);
        known.told = known.table.version;
        return update ?? [];
      });
      feed({ kind: 'wanted', plans, routes: updates });
    },
    /** Until `milliseconds` from now, with everything that is due by then. */
    run: (milliseconds: number) => {
      for (const end = now + milliseconds; ; ) {
        const due = peersMachine.nextDeadline(state)?.at;
        if (due === undefined || due > end) {
          now = end;
          return;
        }
        now = Math.max(now, due);
        feed({ kind: 'tick' });
      }
    },
    /** Outputs of a kind since the last time that anything was asked for. */
    take: <K extends PeersOutput['kind']>(kind: K) => {
      const found = outputs.filter((output): output is Extract<PeersOutput, { kind: K }> => output.kind === kind);
      outputs.length = 0;
      return found;
    },
    /** What routers were told, as `peer +prefix -prefix`, or `peer notification code/subcode`. */
    said: () => {
      const lines = outputs.flatMap((output): string[] => {
        if (output.kind !== 'session' || output.output.kind !== 'send') return [];
        const decoded = decodeMessage(output.output.bytes, { ...BEFORE_OPEN, fourOctetAs: true });
        if (!decoded.ok) throw new Error(decoded.error.message);
        const { message } = decoded;
        if (message.kind === 'notification') return [`${output.peer} notification ${message.code}/${message.subcode}`];
        if (message.kind !== 'update') return [];
        const isGoing = message.attributes.communities?.some(([high, low]) => high === 0xffff && low === 0);
        const changes = [
          ...message.announced.map((prefix) => `+${formatPrefix(prefix)}${isGoing ? ' going' : ''}`),
          ...message.withdrawn.map((prefix) => `-${formatPrefix(prefix)}`),
        ];
        return changes.length === 0 ? [] : [`${output.peer} ${changes.join(' ')}`];
      });
      outputs.length = 0;
      return lines;
    },
  };
}

const times = (n: ReturnType<typeof node>, milliseconds: number) => {
  const seen: string[] = [];
  for (const end = n.now() + milliseconds; n.now() < end; ) {
    n.run(50);
    for (const { peer: name, status } of n.take('status'))
      seen.push(`${n.now()} ${name} ${status === undefined ? 'gone' : `${status.state} ${status.prefixes}`}`);
  }
  return seen;
};

describe('the statuses of sessions', () => {
  it('are told soon after a session has come, and later where only the number of routes has changed', () => {
    const n = node();
    n.want([plan(peer('a'))], { 1: [1] });
    expect(times(n, 1000)).toEqual(['200 a Established 1']);
    n.want([plan(peer('a'))], { 1: [1, 2] });
    expect(times(n, 4000)).toEqual(['4000 a Established 2']);
  });

  it('do not wait longer for every further change of routes', () => {
    const n = node();
    n.want([plan(peer('a'))], { 1: [1] });
    times(n, 1000);
    n.want([plan(peer('a'))], { 1: [1, 2] });
    expect(times(n, 2000)).toEqual([]);
    n.want([plan(peer('a'))], { 1: [1, 2, 3] });
    expect(times(n, 2000)).toEqual(['4000 a Established 3']);
  });

  it('do not wait for the number of routes when a session changes meanwhile', () => {
    const n = node();
    n.want([plan(peer('a')), plan(peer('b'))], { 1: [1] });
    times(n, 1000);
    n.want([plan(peer('a')), plan(peer('b'))], { 1: [1, 2] });
    times(n, 1000);
    n.absent.add('b');
    n.connection('b', { kind: 'closed', initiator: 'ours', why: 'the router closed the connection' });
    // The attempt to connect again, a quarter of a second later, gives another reason.
    expect(times(n, 500)).toEqual(['2200 a Established 2', '2200 b Active 0', '2450 b Active 0']);
    expect(times(n, 10_000)).toEqual([]);
  });

  it('go with their BGPPeers, and say since when', () => {
    const n = node();
    n.run(5000);
    n.want([plan(peer('a'))]);
    n.run(200);
    expect(n.take('status')).toMatchObject([{ status: { state: 'Established', since: 5000, bfd: 'None' } }]);
    n.absent.add('a');
    n.run(800);
    n.connection('a', { kind: 'closed', initiator: 'ours', why: 'gone' });
    n.run(300);
    expect(n.take('status')).toMatchObject([{ status: { state: 'Active', since: 6000 } }]);
    n.want([]);
    expect(times(n, 300)).toEqual(['6450 a gone']);
    expect(times(n, 100_000)).toEqual([]);
  });
});

describe('routes', () => {
  it('come whole to a new router, and to others by what has changed', () => {
    const n = node();
    n.want([plan(peer('a'))], { 1: [1, 2] });
    expect(n.said()).toEqual(['a +198.51.100.1/32 +198.51.100.2/32']);
    n.want([plan(peer('a')), plan(peer('b'))], { 1: [2, 3] });
    expect(n.said()).toEqual(['a -198.51.100.1/32', 'a +198.51.100.3/32', 'b +198.51.100.2/32 +198.51.100.3/32']);
    n.want([plan(peer('a')), plan(peer('b'))], { 1: [3] });
    // Nobody has gathered the whole for it.
    expect(n.state.audiences.get(1)!.origin).toBeUndefined();
  });

  it('follow a router to another audience, without a new session', () => {
    const n = node();
    n.want([plan(peer('a')), plan(peer('b'))], { 1: [1, 2] });
    n.said();
    n.want([plan(peer('a')), plan(peer('b'), undefined, 2)], { 2: [2, 3] });
    expect(n.said()).toEqual(['b -198.51.100.1/32', 'b +198.51.100.3/32']);
    n.want([plan(peer('a')), plan(peer('b'), undefined, 2)], { 1: [1], 2: [3, 4] });
    expect(n.said()).toEqual(['a -198.51.100.2/32', 'b -198.51.100.2/32', 'b +198.51.100.4/32']);
    expect([...n.state.audiences.keys()]).toEqual([1, 2]);
    n.want([plan(peer('a'))]);
    expect([...n.state.audiences.keys()]).toEqual([1]);
  });

  it('ask a router to prefer other nodes, but not one that keeps them while we restart', () => {
    const n = node();
    n.want([plan(peer('a'))], { 1: [1] });
    n.capabilities.push(RESTART);
    n.want([plan(peer('a')), plan(peer('b', { gracefulRestart: true }))], { 1: [1] });
    n.said();
    expect(isRerouting(n.state)).toBe(false);
    n.feed({ kind: 'drain' });
    expect(n.said()).toEqual(['a +198.51.100.1/32 going']);
    expect(isRerouting(n.state)).toBe(true);
    n.want([plan(peer('a')), plan(peer('b', { gracefulRestart: true }))], { 1: [1, 2] });
    expect(n.said()).toEqual(['a +198.51.100.2/32 going', 'b +198.51.100.2/32']);
    n.feed({ kind: 'stop', why: 'the end' });
    expect(n.said()).toEqual(['a notification 6/2']);
  });
});

describe('a BGPPeer that changes', () => {
  it('renews its session only where it has to, and says what for', () => {
    const n = node();
    n.want([plan(peer('a'))]);
    n.take('opened');
    n.want([plan(peer('a', { keepaliveTime: 1000 }))]);
    expect(n.take('gone')).toEqual([]);
    n.run(1000);
    expect(n.state.peers.get('a')!.session.settings.keepaliveTime).toBe(1000);
    n.want([plan(peer('a', { port: 1179 }))]);
    const [down] = n.take('session').filter(({ output }) => output.kind === 'session-down');
    expect(down).toMatchObject({ output: { why: 'the BGPPeer was changed: peerPort' } });
    expect(n.state.peers.get('a')).toMatchObject({ plan: { peer: { port: 1179 } }, session: { phase: 'established' } });
  });

  it('and goes, ends its session for good', () => {
    const n = node();
    n.want([plan(peer('a')), plan(peer('b'))]);
    n.said();
    n.want([plan(peer('b'))]);
    expect(n.said()).toEqual(['a notification 6/3']);
    expect([...n.state.peers.keys()]).toEqual(['b']);
    // What its connections still bring is of no interest.
    n.connection('a', { kind: 'closed', initiator: 'ours', why: 'late' });
    expect(n.take('session')).toEqual([]);
  });
});

describe('a router that cannot be reached', () => {
  it('is news once in a minute, or when the reason is another', () => {
    const n = node();
    n.absent.add('a');
    n.want([plan(peer('a', { connectTime: 10_000 }))]);
    n.run(130_000);
    const failures = n.take('attempt-failed');
    expect(failures.length).toBeGreaterThan(10);
    expect(failures.filter(({ isNews }) => isNews)).toHaveLength(2);
    n.connection('a', { kind: 'connect-failed', why: 'not dialling: it is not heard' });
    expect(n.take('attempt-failed')).toEqual([]);
  });

  it('because nobody knows where it is, is not tried', () => {
    const n = node();
    n.want([plan(peer('a', { target: { kind: 'unknown', why: 'this node has no default gateway for IPv4' } }))]);
    expect(n.take('connect')).toEqual([]);
    n.run(3000);
    expect(n.take('attempt-failed')[0]).toMatchObject({
      why: 'this node has no default gateway for IPv4',
      isNews: false,
    });
  });

  it('is silent after a while; so is the node when all are', () => {
    const n = node();
    n.absent.add('a');
    n.want([plan(peer('a')), plan(peer('b'))]);
    n.run(9999);
    expect(n.take('silence')).toEqual([]);
    n.run(1);
    const a = { peer: 'a', why: 'the router does not answer' };
    expect(n.take('silence')).toEqual([{ kind: 'silence', peers: [a], isAll: false }]);
    n.want([plan(peer('a'))]);
    expect(n.take('silence')).toEqual([{ kind: 'silence', peers: [a], isAll: true }]);
    n.absent.delete('a');
    n.run(200_000);
    expect(n.take('silence')).toEqual([{ kind: 'silence', peers: [], isAll: false }]);
  });
});

describe('BFD', () => {
  const targets = (n: ReturnType<typeof node>) =>
    n.take('bfd').map((output) => output.targets.map(({ peer: name }) => name));

  it('watches routers with a profile, unnumbered ones when they are found', () => {
    const n = node();
    const plans = [plan(peer('a'), PROFILE), plan(peer('b')), plan(peer('c', { target: unnumbered }), PROFILE)];
    n.want(plans);
    expect(targets(n)).toEqual([['a']]);
    n.feed({ kind: 'router-found', interface: 'eth1', address: parseAddress('fe80::9')! });
    expect(targets(n)).toEqual([['a', 'c']]);
    n.want(plans, { 1: [1] });
    expect(targets(n)).toEqual([]);
    n.want(plans.map(({ peer: of }) => plan(of)));
    expect(targets(n)).toEqual([[]]);
  });

  it('that has lost a router ends the session, unless the router has only turned it off', () => {
    const n = node();
    n.want([plan(peer('a'), PROFILE)]);
    n.said();
    n.feed({ kind: 'bfd-changed', peer: 'a', up: true, administrative: false });
    n.run(200);
    expect(n.take('status')).toMatchObject([{ status: { bfd: 'Up' } }]);
    n.feed({ kind: 'bfd-changed', peer: 'a', up: false, administrative: true });
    expect(n.said()).toEqual([]);
    n.run(200);
    expect(n.take('status')).toMatchObject([{ status: { bfd: 'Down', state: 'Established' } }]);
    n.feed({ kind: 'bfd-changed', peer: 'a', up: false, administrative: false });
    expect(n.said()).toEqual(['a notification 6/10']);
  });

  it('that is too quick is warned of once', () => {
    const n = node();
    for (const interval of [49, 50, 20]) n.want([plan(peer('a'), { ...PROFILE, receiveInterval: interval })]);
    expect(n.take('hasty-bfd')).toEqual([{ kind: 'hasty-bfd', peer: 'a', profile: 'quick', interval: 49 }]);
  });

  it('ends after sessions whose routes are kept, and at once with others', () => {
    const n = node();
    n.want([plan(peer('a'), PROFILE)]);
    n.take('bfd');
    n.feed({ kind: 'stop', why: 'the end' });
    expect(targets(n)).toEqual([[]]);
    const held = node();
    held.capabilities.push(RESTART);
    held.want([plan(peer('a', { gracefulRestart: true }), PROFILE)]);
    held.take('bfd');
    held.feed({ kind: 'stop', why: 'the end' });
    held.run(299);
    expect(targets(held)).toEqual([]);
    held.run(1);
    expect(targets(held)).toEqual([[]]);
    expect(peersMachine.nextDeadline(held.state)).toBeUndefined();
  });
});

describe('an unnumbered peer', () => {
  const links = (...names: string[]): PeersInput => ({
    kind: 'links',
    links: names.map((name, i) => ({ name, index: i + 1, mac: MAC, arp: true, ndp: true })),
    forwardsIpv4: false,
  });

  it('is looked for on its interface, and connected to as soon as it is found', () => {
    const n = node();
    n.feed(links('eth0', 'eth1'));
    n.want([plan(peer('a', { target: unnumbered }))]);
    expect(n.take('discover')).toEqual([{ kind: 'discover', interfaces: new Map([['eth1', MAC]]) }]);
    n.run(100);
    n.take('connect');
    n.feed({ kind: 'router-found', interface: 'eth1', address: parseAddress('fe80::9')! });
    expect(n.take('connect')).toEqual([
      { kind: 'connect', peer: 'a', to: { address: parseAddress('fe80::9'), zone: 'eth1' } },
    ]);
    n.run(200);
    expect(n.take('status')).toMatchObject([{ status: { address: 'fe80::9%eth1', state: 'Established' } }]);
    n.feed(links('eth0'));
    expect(n.take('discover')).toEqual([{ kind: 'discover', interfaces: new Map() }]);
  });
});
