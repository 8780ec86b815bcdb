import { describe, expect, it } from 'vitest';
import { bgpRoute, SESSION_SETTINGS } from '../../../../test/builders.ts';
import { parseAddress } from '../../net/address.ts';
import { formatPrefix, parsePrefix } from '../../net/prefix.ts';
import type { Route } from '../rib/route.ts';
import type { RouteSnapshot } from '../rib/route-update.ts';
import { BEFORE_OPEN, decodeMessage, encodeMessage } from '../wire/codec.ts';
import type { BgpMessage, Capability, CodecOptions, OpenMessage, UpdateMessage } from '../wire/messages.ts';
import { sessionMachine } from './fsm.ts';
import type { SessionSettings } from './negotiation.ts';
import { established, type Initiator, initialSession, type SessionInput, type SessionOutput } from './state.ts';

const NOW: CodecOptions = { fourOctetAs: true, extendedMessage: false };
const SETTINGS = SESSION_SETTINGS;
const LOCAL = { identifier: 0x0a000001, addresses: [parseAddress('10.0.0.1')!, parseAddress('2001:db8::1')!] };
const route = bgpRoute;
const whole = (routes: readonly Route[]): RouteSnapshot => ({ kind: 'snapshot', audience: 1, version: 1, routes });
const peerOpen = (more: Partial<OpenMessage> = {}, ...capabilities: Capability[]): OpenMessage => ({
  kind: 'open',
  version: 4,
  asn: 64501,
  holdTime: 90,
  identifier: 0x0a0000fe,
  capabilities: [
    { kind: 'multiprotocol', family: 'ipv4' },
    { kind: 'four-octet-as', asn: more.asn ?? 64501 },
    ...capabilities,
  ],
  ...more,
});

function session(settings: Partial<SessionSettings> = {}) {
  const state = initialSession({ ...SETTINGS, ...settings });
  let now = 0;
  const feed = (input: SessionInput | { kind: 'tick' }): SessionOutput[] => [
    ...sessionMachine.step(state, input, now).outputs,
  ];
  const options = () => established(state)?.stage.negotiated ?? NOW;
  const sent = (outputs: readonly SessionOutput[]) =>
    outputs.flatMap((output): BgpMessage[] => {
      if (output.kind !== 'send') return [];
      const decoded = decodeMessage(output.bytes, options());
      return decoded.ok ? [decoded.message] : [];
    });
  const hear = (message: BgpMessage, initiator: Initiator = 'ours') =>
    feed({ kind: 'frame', initiator, bytes: encodeMessage(message, NOW) });
  const connected = (initiator: Initiator = 'ours') => feed({ kind: 'connected', initiator, local: LOCAL });
  const run = (milliseconds: number) => {
    const outputs: SessionOutput[] = [];
    for (const end = now + milliseconds; ; ) {
      const due = sessionMachine.nextDeadline(state)?.at ?? Number.POSITIVE_INFINITY;
      if (due > end) {
        now = end;
        return outputs;
      }
      now = Math.max(now, due);
      outputs.push(...feed({ kind: 'tick' }));
    }
  };
  const establish = (open = peerOpen()) => {
    feed({ kind: 'start' });
    connected();
    hear(open);
    return hear({ kind: 'keepalive' });
  };
  const updates = (outputs: readonly SessionOutput[]) =>
    sent(outputs).filter((message): message is UpdateMessage => message.kind === 'update');
  return { state, feed, hear, connected, run, sent, establish, updates, now: () => now };
}
const ends = (outputs: readonly SessionOutput[]) =>
  outputs.flatMap((o) => (o.kind === 'session-down' || o.kind === 'attempt-failed' ? [o.why] : []));

describe('a BGP session', () => {
  it('connects, agrees, and says what it has to say', () => {
    const s = session();
    expect(s.feed({ kind: 'start' })).toEqual([{ kind: 'connect' }]);
    const [open] = s.sent(s.connected());
    expect(open).toMatchObject({ kind: 'open', asn: 64500, holdTime: 90, identifier: LOCAL.identifier });
    expect(s.sent(s.hear(peerOpen()))).toEqual([{ kind: 'keepalive' }]);
    expect(s.state.phase).toBe('open-confirm');
    s.feed({ kind: 'routes', routes: whole([route('192.0.2.1/32', { communities: [[64500, 7]] })]) });
    const outputs = s.hear({ kind: 'keepalive' });
    expect(outputs[0]).toMatchObject({ kind: 'counted' });
    expect(outputs.some(({ kind }) => kind === 'session-up')).toBe(true);
    const [first, end] = s.updates(outputs);
    expect(first).toMatchObject({
      announced: [{ length: 32 }],
      attributes: { asPath: [{ asns: [64500] }], nextHop: LOCAL.addresses[0], communities: [[64500, 7]] },
    });
    expect(first!.attributes.localPref).toBeUndefined();
    expect(end).toEqual({ kind: 'update', withdrawn: [], announced: [], attributes: {} });
  });

  it('sends only what changes, withdrawals with it, and never touches the session for it', () => {
    const s = session();
    const routes = Array.from({ length: 3000 }, (_, i) => route(`10.${i >> 8}.${i & 255}.0/24`));
    s.feed({ kind: 'routes', routes: whole(routes) });
    const first = s.updates(s.establish());
    // Four bytes each, some thousand in one message of 4096; and End-of-RIB.
    expect(first.length).toBe(4);
    expect(first.flatMap(({ announced }) => announced)).toHaveLength(3000);
    expect(s.updates(s.feed({ kind: 'routes', routes: whole([...routes]) }))).toEqual([]);
    const changed = [...routes.slice(2), route('10.0.1.0/24', { communities: [[1, 2]] })];
    const next = s.updates(s.feed({ kind: 'routes', routes: whole(changed) }));
    expect(next.map(({ withdrawn, announced }) => [withdrawn.length, announced.length])).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(s.state.phase).toBe('established');
  });

  it('is told by what has changed, and says no more to the router', () => {
    const s = session();
    s.feed({ kind: 'routes', routes: whole([route('192.0.2.1/32'), route('192.0.2.2/32')]) });
    const delta = { kind: 'delta', audience: 1, from: 1, to: 2, withdrawn: ['192.0.2.1/32'] } as const;
    // Whoever is not connected yet hears all of it later.
    s.feed({ kind: 'routes', routes: { ...delta, changed: [route('192.0.2.3/32')] } });
    expect(s.updates(s.establish()).flatMap(({ announced }) => announced.map(formatPrefix))).toEqual([
      '192.0.2.2/32',
      '192.0.2.3/32',
    ]);
    const next = { ...delta, from: 2, to: 3, withdrawn: ['192.0.2.2/32'], changed: [route('192.0.2.3/32')] };
    const updates = s.updates(s.feed({ kind: 'routes', routes: next }));
    expect(updates.map(({ withdrawn, announced }) => [withdrawn.map(formatPrefix), announced.length])).toEqual([
      [['192.0.2.2/32'], 0],
    ]);
    expect(() => s.feed({ kind: 'routes', routes: next })).toThrow(RangeError);
  });

  it('to an iBGP peer has no path and a local preference, which is 100 where none is wanted', () => {
    const s = session({ peerAsn: 64500 });
    s.feed({
      kind: 'routes',
      routes: whole([route('192.0.2.1/32'), route('192.0.2.2/32', { localPref: 300 })]),
    });
    const [one, two] = s.updates(s.establish(peerOpen({ asn: 64500 })));
    expect(one!.attributes).toMatchObject({ asPath: [], localPref: 100 });
    expect(two!.attributes).toMatchObject({ asPath: [], localPref: 300 });
  });

  it('carries both families where both sides want them, each with its own next hop', () => {
    const s = session({ families: ['ipv4', 'ipv6'] });
    s.feed({ kind: 'routes', routes: whole([route('192.0.2.1/32'), route('2001:db8:1::1/128')]) });
    const updates = s.updates(s.establish(peerOpen({}, { kind: 'multiprotocol', family: 'ipv6' })));
    expect(updates[1]!.reach).toMatchObject({
      family: 'ipv6',
      nextHops: [LOCAL.addresses[1]],
      prefixes: [{ length: 128 }],
    });
    const gone = s.updates(s.feed({ kind: 'routes', routes: whole([]) }));
    expect(gone.map(({ withdrawn, unreach }) => [withdrawn.length, unreach?.prefixes.length ?? 0])).toEqual([
      [1, 0],
      [0, 1],
    ]);
    // A peer that speaks IPv4 only gets nothing else.
    const old = session({ families: ['ipv4', 'ipv6'] });
    old.feed({ kind: 'routes', routes: whole([route('2001:db8:1::1/128')]) });
    expect(old.updates(old.establish())).toHaveLength(1);
  });

  it('goes by another AS number towards a peer (localASN), alone', () => {
    const s = session({ localAsn: 65000, peerAsn: 'external' });
    s.feed({ kind: 'routes', routes: whole([route('192.0.2.1/32')]) });
    s.feed({ kind: 'start' });
    expect(s.sent(s.connected())[0]).toMatchObject({ asn: 65000 });
    s.hear(peerOpen());
    expect(s.updates(s.hear({ kind: 'keepalive' }))[0]!.attributes.asPath).toEqual([
      { type: 'sequence', asns: [65000] },
    ]);
  });

  it.each<[string, Partial<SessionSettings>, OpenMessage, number, RegExp]>([
    ['another AS number', {}, peerOpen({ asn: 64999 }), 2, /is AS 64999; the BGPPeer expects AS 64501/],
    [
      'our AS number where an external peer is wanted',
      { peerAsn: 'external' },
      peerOpen({ asn: 64500 }),
      2,
      /expects an external peer/,
    ],
    [
      'our BGP identifier inside the AS',
      { peerAsn: 'internal' },
      peerOpen({ asn: 64500, identifier: LOCAL.identifier }),
      3,
      /identifier/,
    ],
    ['a hold time of one second', {}, peerOpen({ holdTime: 1 }), 6, /hold time of 1 s/],
    ['version 3', {}, peerOpen({ version: 3 }), 1, /version 3/],
    ['no family of ours', { families: ['ipv6'] }, peerOpen(), 7, /does not offer ipv6/],
    [
      'no family but one that we do not know',
      {},
      peerOpen({ capabilities: [{ kind: 'unknown', code: 1, value: Uint8Array.of(0, 1, 0, 128) }] }),
      7,
      /does not offer ipv4/,
    ],
  ])('refuses a peer with %s, and says why', (_, settings, open, subcode, why) => {
    const s = session(settings);
    s.feed({ kind: 'start' });
    s.connected();
    const outputs = s.hear(open);
    expect(s.sent(outputs)[0]).toMatchObject({ kind: 'notification', code: 2, subcode });
    expect(ends(outputs)[0]).toMatch(why);
    expect(s.state.phase).toBe('active');
  });

  it('keeps itself alive, and notices that the peer does not', () => {
    const s = session({ holdTime: 9000 });
    s.establish();
    expect(s.sent(s.run(6500)).filter(({ kind }) => kind === 'keepalive')).toHaveLength(2);
    s.hear({ kind: 'keepalive' });
    expect(s.state.phase).toBe('established');
    const outputs = s.run(9100);
    expect(s.sent(outputs).find(({ kind }) => kind === 'notification')).toMatchObject({ code: 4 });
    expect(ends(outputs)).toEqual(['the router has been silent for the hold time']);
    // And it comes back at once.
    expect(s.run(1000)).toContainEqual({ kind: 'connect' });
  });

  it('takes an UPDATE for a sign of life, as it does a KEEPALIVE (RFC 4271 §8.2.2)', () => {
    const s = session({ holdTime: 9000 });
    s.establish();
    for (let i = 0; i < 5; i++) {
      s.run(6000);
      s.hear({ kind: 'update', withdrawn: [], announced: [], attributes: {} });
    }
    expect(s.state.phase).toBe('established');
    expect(ends(s.run(9000))).toEqual(['the router has been silent for the hold time']);
  });

  it('never ends by itself with a hold time of zero', () => {
    const s = session({ holdTime: 0 });
    s.establish(peerOpen({ holdTime: 0 }));
    expect(s.run(1_000_000)).toEqual([]);
    expect(s.state.phase).toBe('established');
  });

  it('tries again with growing pauses, at most two minutes, or as often as it is told', () => {
    const pauses = (settings: Partial<SessionSettings>) => {
      const s = session(settings);
      s.feed({ kind: 'start' });
      return Array.from({ length: 9 }, () => {
        const failed = s.now();
        s.feed({ kind: 'connect-failed', why: 'refused' });
        const pause = sessionMachine.nextDeadline(s.state)!.at - failed;
        s.run(pause);
        return pause;
      });
    };
    expect(pauses({})).toEqual([750, 1500, 3000, 6000, 12_000, 24_000, 48_000, 90_000, 90_000]);
    expect(new Set(pauses({ connectTime: 4000 }))).toEqual(new Set([3000]));
  });

  it('repeats everything when it is asked to (route refresh), between marks where the peer knows them', () => {
    const s = session();
    s.feed({ kind: 'routes', routes: whole([route('192.0.2.1/32')]) });
    s.establish(peerOpen({}, { kind: 'enhanced-route-refresh' }));
    const answer = s.sent(s.hear({ kind: 'route-refresh', family: 'ipv4', subtype: 'request' }));
    expect(answer.map((message) => (message.kind === 'route-refresh' ? message.subtype : message.kind))).toEqual([
      'begin',
      'update',
      'end',
    ]);
  });

  it('ignores a refresh of what it has not agreed on, as well as one that it does not understand', () => {
    const s = session();
    s.feed({ kind: 'routes', routes: whole([route('192.0.2.1/32')]) });
    s.establish();
    for (const [family, subtype] of [
      [{ afi: 1, safi: 128 }, 'request'],
      ['ipv6', 'request'],
      ['ipv4', 9],
    ] as const)
      expect(s.sent(s.hear({ kind: 'route-refresh', family, subtype }))).toEqual([]);
    expect(s.state.phase).toBe('established');
  });

  it.each<[string, BgpMessage]>([
    ['a refresh of another family', { kind: 'route-refresh', family: { afi: 1, safi: 128 }, subtype: 'request' }],
    ['a refresh of an unknown subtype', { kind: 'route-refresh', family: 'ipv4', subtype: 9 }],
    ['a refresh', { kind: 'route-refresh', family: 'ipv4', subtype: 'request' }],
    ['an UPDATE', { kind: 'update', withdrawn: [], announced: [], attributes: {} }],
  ])('is not established by %s: in OpenConfirm that is an FSM error (RFC 6608)', (_, message) => {
    const s = session();
    s.feed({ kind: 'start' });
    s.connected();
    s.hear(peerOpen());
    const outputs = s.hear(message);
    expect(s.sent(outputs)).toEqual([expect.objectContaining({ kind: 'notification', code: 5, subcode: 2 })]);
    expect(s.state.phase).toBe('active');
  });

  it('takes what the router says about the end of a session into its own words', () => {
    const s = session();
    s.establish();
    const data = Uint8Array.from(Buffer.from('\u0009new disks'));
    expect(ends(s.hear({ kind: 'notification', code: 6, subcode: 2, data }))).toEqual([
      'the router says: cease: administrative shutdown ("new disks")',
    ]);
  });

  it('takes over other timers while it stands', () => {
    const s = session();
    s.establish();
    const kinds = (outputs: readonly SessionOutput[]) => s.sent(outputs).map(({ kind }) => kind);
    expect(kinds(s.run(5000))).toEqual([]);
    expect(kinds(s.feed({ kind: 'settings', settings: { ...SETTINGS, keepaliveTime: 1000 } }))).toEqual([]);
    expect(kinds(s.run(3000))).toEqual(['keepalive', 'keepalive', 'keepalive']);
    expect(s.state.phase).toBe('established');
  });

  it('does not wait any longer than new settings say, and connects by itself when it is to do so now', () => {
    const s = session({ connectTime: 100_000 });
    s.feed({ kind: 'start' });
    s.feed({ kind: 'connect-failed', why: 'nobody' });
    s.feed({ kind: 'settings', settings: { ...SETTINGS, connectTime: 1000 } });
    expect(s.run(1000).filter(({ kind }) => kind === 'connect')).toHaveLength(1);
    const passive = session({ passive: true });
    passive.feed({ kind: 'start' });
    expect(passive.feed({ kind: 'settings', settings: SETTINGS })).toEqual([{ kind: 'connect' }]);
    passive.feed({ kind: 'connect-failed', why: 'nobody' });
    passive.feed({ kind: 'settings', settings: { ...SETTINGS, passive: true } });
    expect(passive.run(1_000_000)).toEqual([]);
  });

  it('says why it ends for good by the subcode of Cease (RFC 4486)', () => {
    const goodbye = (cause: 'de-configured' | 'configuration-change') => {
      const s = session();
      s.establish();
      return s.sent(s.feed({ kind: 'stop', cause, why: 'whatever', hold: false }))[0];
    };
    expect(goodbye('de-configured')).toMatchObject({ code: 6, subcode: 3, data: new Uint8Array() });
    expect(goodbye('configuration-change')).toMatchObject({ code: 6, subcode: 6, data: new Uint8Array() });
  });

  it('says goodbye, but not to a peer that is to hold its routes over a restart', () => {
    const plain = session();
    plain.establish();
    expect(plain.sent(plain.feed({ kind: 'stop', cause: 'shutdown', why: 'drained', hold: true }))[0]).toMatchObject({
      code: 6,
      subcode: 2,
    });
    const graceful = session({ gracefulRestart: true });
    const restart = { kind: 'graceful-restart', restarting: false, notification: true, restartTime: 120 } as const;
    graceful.establish(peerOpen({}, { ...restart, families: [] }));
    expect(
      graceful.feed({ kind: 'stop', cause: 'shutdown', why: 'update', hold: true }).map(({ kind }) => kind),
    ).toEqual(['close', 'session-down']);
    expect(graceful.run(1_000_000)).toEqual([]);
  });

  it('takes malformed routes of the peer for withdrawn and lives on, but not a broken stream', () => {
    const s = session();
    s.establish();
    const bad = encodeMessage(
      { kind: 'update', withdrawn: [], announced: [parsePrefix('192.0.2.0/24')!], attributes: {} },
      NOW,
    );
    expect(ends(s.feed({ kind: 'frame', initiator: 'ours', bytes: bad }))).toEqual([]);
    const noise = encodeMessage({ kind: 'keepalive' }, BEFORE_OPEN).with(18, 9);
    expect(ends(s.feed({ kind: 'frame', initiator: 'ours', bytes: noise }))).toEqual(['a message of type 9']);
  });

  it('with a peer that keeps its routes even after a NOTIFICATION, ends for good by a hard reset (RFC 8538)', () => {
    const restart = { kind: 'graceful-restart', restarting: false, notification: true, restartTime: 120 } as const;
    const s = session({ gracefulRestart: true });
    s.establish(peerOpen({}, { ...restart, families: [] }));
    const [goodbye] = s.sent(s.feed({ kind: 'stop', cause: 'shutdown', why: 'gone', hold: false }));
    expect(goodbye).toMatchObject({ code: 6, subcode: 9, data: Uint8Array.of(6, 2, 4, ...Buffer.from('gone')) });
  });

  it('waits for the router to connect where it is told to, and may let it speak first (DelayOpen)', () => {
    const s = session({ passive: true, delayOpen: 5000 });
    expect(s.feed({ kind: 'start' })).toEqual([]);
    expect(s.run(600_000)).toEqual([]);
    expect(s.sent(s.connected('theirs'))).toEqual([]);
    expect(s.sent(s.hear(peerOpen(), 'theirs')).map(({ kind }) => kind)).toEqual(['open', 'keepalive']);
    s.hear({ kind: 'keepalive' }, 'theirs');
    expect(s.state.phase).toBe('established');
    s.feed({ kind: 'closed', initiator: 'theirs', why: 'gone' });
    expect(s.state.phase).toBe('active');
    s.connected('theirs');
    expect(s.sent(s.run(5000)).map(({ kind }) => kind)).toEqual(['open']);
  });

  it.each<[string, number, Initiator]>([
    ['the peer’s, which has the higher identifier', 0x0a0000fe, 'theirs'],
    ['ours, where the peer’s identifier is the lower one', 0x09000000, 'ours'],
  ])('of two connections keeps %s (RFC 4271 §6.8)', (_, identifier, winner) => {
    for (const order of [
      ['ours', 'theirs'],
      ['theirs', 'ours'],
    ] as const) {
      const s = session();
      s.feed({ kind: 'start' });
      for (const initiator of order) s.connected(initiator);
      s.hear(peerOpen({ identifier }), order[0]);
      const outputs = s.hear(peerOpen({ identifier }), order[1]);
      const loser = winner === 'ours' ? 'theirs' : 'ours';
      expect(s.sent(outputs)).toContainEqual(expect.objectContaining({ kind: 'notification', code: 6, subcode: 7 }));
      expect(outputs).toContainEqual({ kind: 'close', initiator: loser });
      expect(ends(outputs)).toEqual([]);
      s.hear({ kind: 'keepalive' }, winner);
      expect(established(s.state)?.initiator).toBe(winner);
    }
  });

  it('does not let another connection disturb a session that stands, unless the peer restarts gracefully', () => {
    const s = session();
    s.establish();
    expect(s.connected('theirs')).toEqual([{ kind: 'refuse' }]);
    const restart = { kind: 'graceful-restart', restarting: true, notification: true, restartTime: 120 } as const;
    const graceful = session({ gracefulRestart: true });
    graceful.establish(peerOpen({}, { ...restart, families: [] }));
    expect(ends(graceful.connected('theirs'))).toEqual(['the router has connected again']);
    expect(graceful.state.phase).toBe('open-sent');
  });

  it('makes a way look longer, gives MED, and says what it can bear (link bandwidth)', () => {
    const s = session();
    s.feed({ kind: 'routes', routes: whole([route('192.0.2.1/32', { prepend: 2, med: 50, bandwidth: 2e9 })]) });
    const [update] = s.updates(s.establish());
    expect(update!.attributes).toMatchObject({
      asPath: [{ type: 'sequence', asns: [64500, 64500, 64500] }],
      med: 50,
      // AS 64500; 250 MB/s as a float.
      extendedCommunities: [Uint8Array.of(0x40, 4, 0xfb, 0xf4, 0x4d, 0x6e, 0x6b, 0x28)],
    });
  });

  it('on an unnumbered link gives IPv4 routes an IPv6 next hop where the peer takes it (RFC 8950)', () => {
    const s = session({ families: ['ipv4', 'ipv6'] });
    s.feed({ kind: 'routes', routes: whole([route('192.0.2.1/32')]) });
    s.feed({ kind: 'start' });
    const ends = ['fe80::1', '2001:db8::1', '10.0.0.1'].map((text) => parseAddress(text)!);
    s.feed({ kind: 'connected', initiator: 'ours', local: { identifier: 1, addresses: ends } });
    s.hear(peerOpen({}, { kind: 'extended-next-hop', family: 'ipv4', nextHop: 'ipv6' }));
    const [update] = s.updates(s.hear({ kind: 'keepalive' }));
    expect(update!.reach).toMatchObject({ family: 'ipv4', nextHops: [ends[1], ends[0]] });
  });
});
