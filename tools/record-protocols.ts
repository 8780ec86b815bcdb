/**
 * `npm run record:protocols`: makes the recordings of BFD, BGP and leadership in test/replay again, on virtual time: what a machine hears
 * from another one, and what it says to that.
 * @module
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Cancel, Clock } from '../src/adapters/driver/clock.ts';
import { Driver } from '../src/adapters/driver/driver.ts';
import { encodeLine, SecretHiding } from '../src/adapters/driver/recording.ts';
import { type BfdInput, type BfdOutput, type BfdSettings, bfdMachine, initialBfd } from '../src/core/bfd/fsm.ts';
import { peersMachine } from '../src/core/bgp/peers/fsm.ts';
import { initialPeers, type PeersInput, type PeersOutput } from '../src/core/bgp/peers/state.ts';
import type { Route } from '../src/core/bgp/rib/route.ts';
import type { RouteUpdate } from '../src/core/bgp/rib/route-update.ts';
import { sessionMachine } from '../src/core/bgp/session/fsm.ts';
import type { SessionSettings } from '../src/core/bgp/session/negotiation.ts';
import {
  type Initiator,
  initialSession,
  type SessionInput,
  type SessionOutput,
} from '../src/core/bgp/session/state.ts';
import type { Peer } from '../src/core/config/config.ts';
import {
  initialLeadership,
  type LeadershipInput,
  type LeadershipOutput,
  leadershipMachine,
} from '../src/core/kubernetes/leadership/fsm.ts';
import type { LeaseRecord } from '../src/core/kubernetes/leadership/messages.ts';
import type { Machine } from '../src/core/machine.ts';
import { parseAddress } from '../src/core/net/address.ts';
import { parsePrefix } from '../src/core/net/prefix.ts';
import { bgpPeer } from '../test/builders.ts';

const ROOT = resolve(import.meta.dirname, '../test/replay');
/** Milliseconds that everything takes that goes from one machine to another. */
const DELAY = 5;

/** Virtual time, and what is to happen in it. */
class Timeline implements Clock {
  #now = 0;
  readonly #waiting = new Map<object, { readonly moment: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }

  at(moment: number, run: () => void): Cancel {
    const key = {};
    this.#waiting.set(key, { moment, run });
    return () => this.#waiting.delete(key);
  }

  soon(run: () => void): void {
    this.at(this.#now + DELAY, run);
  }

  run(milliseconds: number): void {
    for (const end = this.#now + milliseconds; ; ) {
      const due = [...this.#waiting].filter(([, { moment }]) => moment <= end);
      const [first] = due.sort(([, a], [, b]) => a.moment - b.moment);
      if (first === undefined) {
        this.#now = end;
        return;
      }
      this.#waiting.delete(first[0]);
      this.#now = Math.max(this.#now, first[1].moment);
      first[1].run();
    }
  }
}

/** A driver that writes down what goes into its machine and what comes out. */
function recorded<S, I, O>(machine: Machine<S, I, O>, initial: S, clock: Clock, perform: (output: O) => void) {
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const hiding = new SecretHiding();
  const observed: Machine<S, I, O> = {
    ...machine,
    step: (state, input, now) => {
      inputs.push(encodeLine({ now, input: hiding.hide(input) }));
      const result = machine.step(state, input, now);
      outputs.push(encodeLine(hiding.hide(result.outputs)));
      return result;
    },
  };
  const driver = new Driver(observed, initial, { clock, perform });
  const save = (room: string, name: string, settings: unknown, about: string) => {
    const folder = join(ROOT, room, name);
    mkdirSync(folder, { recursive: true });
    const write = (file: string, lines: readonly string[]) =>
      writeFileSync(join(folder, file), lines.map((line) => `${line}\n`).join(''));
    write('input.jsonl', [encodeLine({ machine: room, settings }), ...inputs]);
    write('output.jsonl', outputs);
    write('README.md', [`# ${room}: ${name}`, '', about]);
    console.log(`${room}/${name}: ${inputs.length} inputs`);
  };
  return { driver, save };
}

function recordBfd(): void {
  const time = new Timeline();
  const settings: BfdSettings = {
    discriminator: 1,
    transmitInterval: 300,
    receiveInterval: 300,
    detectMultiplier: 3,
    passive: false,
    echoInterval: 200,
    echoReceiveInterval: 0,
  };
  const router = { ...settings, discriminator: 2, echoInterval: undefined, echoReceiveInterval: 50 };
  let isCut = false;
  const perform =
    (other: () => (input: BfdInput) => void, own: () => (input: BfdInput) => void) => (output: BfdOutput) =>
      time.soon(() => {
        if (isCut) return;
        if (output.kind === 'send') other()({ kind: 'received', packet: output.packet });
        if (output.kind === 'send-echo') own()({ kind: 'echoed' });
      });
  const [toNode, toRouter] = [
    (input: BfdInput) => node.driver.feed(input),
    (input: BfdInput) => there.driver.feed(input),
  ];
  const node = recorded(
    bfdMachine,
    initialBfd(settings),
    time,
    perform(
      () => toRouter,
      () => toNode,
    ),
  );
  const there = recorded(
    bfdMachine,
    initialBfd(router),
    time,
    perform(
      () => toNode,
      () => toRouter,
    ),
  );
  toRouter({ kind: 'start' });
  toNode({ kind: 'start' });
  time.run(3000);
  isCut = true;
  time.run(1500);
  isCut = false;
  time.run(3000);
  toRouter({ kind: 'stop' });
  time.run(1000);
  node.save(
    'bfd',
    'lost-and-found',
    settings,
    'A session comes up, with echoes; nothing gets through for a second and a half; it comes up again, and the router turns BFD off.',
  );
}

/** One side of TCP connections, whichever machine speaks on them. */
interface End {
  readonly address: string;
  connected(initiator: Initiator): void;
  frame(initiator: Initiator, bytes: Uint8Array): void;
  closed(initiator: Initiator): void;
}

const otherWay = (initiator: Initiator): Initiator => (initiator === 'ours' ? 'theirs' : 'ours');

/** What one side's session asks for, done to both. A router that is `away` takes no connection. */
function transport(time: Timeline, own: () => End, other: () => End, isAway: () => boolean, refused: () => void) {
  return (output: SessionOutput | { readonly kind: 'connect' }) => {
    if (output.kind === 'connect')
      time.soon(() => {
        if (isAway()) {
          refused();
          return;
        }
        other().connected('theirs');
        own().connected('ours');
      });
    else if (output.kind === 'send') time.soon(() => other().frame(otherWay(output.initiator), output.bytes));
    else if (output.kind === 'close') time.soon(() => other().closed(otherWay(output.initiator)));
  };
}

const localEnd = (address: string, identifier: number) => ({ identifier, addresses: [parseAddress(address)!] });
const LOST = 'the router closed the connection';
const REFUSED = 'the router does not answer';

function sessionEnd(feed: (input: SessionInput) => void, address: string, identifier: number): End {
  return {
    address,
    connected: (initiator) => feed({ kind: 'connected', initiator, local: localEnd(address, identifier) }),
    frame: (initiator, bytes) => feed({ kind: 'frame', initiator, bytes }),
    closed: (initiator) => feed({ kind: 'closed', initiator, why: LOST }),
  };
}

const route = (last: number, community = 0): Route => ({
  prefix: parsePrefix(`198.51.100.${last}/32`)!,
  localPref: 0,
  communities: community === 0 ? [] : [[64500, community]],
  largeCommunities: [],
});
const FIRST: RouteUpdate = { kind: 'snapshot', audience: 1, version: 1, routes: [route(1), route(2)] };
const NEXT: RouteUpdate = {
  kind: 'delta',
  audience: 1,
  from: 1,
  to: 3,
  changed: [route(2, 7), route(3)],
  withdrawn: ['198.51.100.1/32'],
};

const SETTINGS: SessionSettings = {
  asn: 64500,
  localAsn: 64500,
  peerAsn: 64501,
  holdTime: 9000,
  keepaliveTime: undefined,
  connectTime: undefined,
  families: ['ipv4'],
  gracefulRestart: true,
  passive: false,
  delayOpen: 0,
};

function recordSession(): void {
  const time = new Timeline();
  let isAway = true;
  const away = () => isAway;
  const toNode = (input: SessionInput) => node.driver.feed(input);
  const toRouter = (input: SessionInput) => router.driver.feed(input);
  const [nodeEnd, routerEnd] = [sessionEnd(toNode, '192.0.2.1', 1), sessionEnd(toRouter, '192.0.2.254', 2)];
  const theirs = { ...SETTINGS, asn: 64501, localAsn: 64501, peerAsn: 64500, passive: true };
  const ours = transport(
    time,
    () => nodeEnd,
    () => routerEnd,
    away,
    () => toNode({ kind: 'connect-failed', why: REFUSED }),
  );
  const back = transport(
    time,
    () => routerEnd,
    () => nodeEnd,
    away,
    () => {},
  );
  const node = recorded(sessionMachine, initialSession(SETTINGS), time, ours);
  const router = recorded(sessionMachine, initialSession(theirs), time, back);
  toRouter({ kind: 'start' });
  toNode({ kind: 'routes', routes: FIRST });
  toNode({ kind: 'start' });
  time.run(500);
  isAway = false;
  time.run(5000);
  toNode({ kind: 'routes', routes: NEXT });
  time.run(1000);
  toNode({ kind: 'bfd-down' });
  time.run(3000);
  toNode({ kind: 'settings', settings: { ...SETTINGS, keepaliveTime: 1000 } });
  time.run(3000);
  toNode({ kind: 'stop', cause: 'de-configured', why: 'no BGPPeer is for this router', hold: false });
  node.save(
    'bgp-session',
    'router-comes-late',
    SETTINGS,
    'The router is not there at first; then it hears all routes, and later what has changed; BFD loses it; other timers come; the session ends for good.',
  );
}

const peer = (name: string, more: Partial<Peer>) => bgpPeer(name, '192.0.2.254', more);

function peersEnd(feed: (input: PeersInput) => void, name: string, address: string, identifier: number): End {
  return sessionEnd((input) => feed({ kind: 'session', peer: name, input: input as never }), address, identifier);
}

/** Two routers, each a machine of all its own sessions, as the node is. */
function recordPeers(): void {
  const time = new Timeline();
  const away = new Set<string>();
  const node = recorded(peersMachine, initialPeers(), time, (output: PeersOutput) => {
    if (output.kind === 'connect' || output.kind === 'session')
      ways.get(output.peer)?.ours(output.kind === 'connect' ? { kind: 'connect' } : output.output);
  });
  const toNode = (input: PeersInput) => node.driver.feed(input);
  const ways = new Map(
    ['tor', 'spine'].map((name, i) => {
      const address = `192.0.2.${254 - i}`;
      const router = recorded(peersMachine, initialPeers(), time, (output: PeersOutput) => {
        if (output.kind === 'session') back(output.output);
      });
      const toRouter = (input: PeersInput) => router.driver.feed(input);
      const [own, other] = [peersEnd(toNode, name, '192.0.2.1', 1), peersEnd(toRouter, 'node', address, 2 + i)];
      const refuse = () => toNode({ kind: 'session', peer: name, input: { kind: 'connect-failed', why: REFUSED } });
      const isAway = () => away.has(name);
      const ours = transport(
        time,
        () => own,
        () => other,
        isAway,
        refuse,
      );
      const back = transport(
        time,
        () => other,
        () => own,
        isAway,
        () => {},
      );
      const plan = {
        peer: peer('node', { myASN: 64501, peerASN: 64500, passive: true, gracefulRestart: true }),
        bfd: undefined,
        audience: 1,
      };
      toRouter({ kind: 'wanted', plans: [plan], routes: [] });
      return [name, { ours, toRouter }];
    }),
  );
  const bfd = { name: 'quick', echoMode: false, passiveMode: false, receiveInterval: 20 };
  const password = { encoding: 'utf8', text: 'correct horse battery staple' } as const;
  const tor = peer('tor', { password });
  const spine = peer('spine', { target: { kind: 'interface', name: 'eth1' }, gracefulRestart: true });
  const wanted = (first: Peer) => [
    { peer: first, bfd, audience: 1 },
    { peer: spine, bfd: undefined, audience: 1 },
  ];
  const mac = Uint8Array.of(2, 0, 0x5e, 0, 0, 1);
  toNode({ kind: 'links', links: [{ name: 'eth1', index: 2, mac, arp: true, ndp: true }], forwardsIpv4: true });
  const before = wanted(tor);
  toNode({ kind: 'wanted', plans: before, routes: [FIRST] });
  time.run(2000);
  toNode({ kind: 'router-found', interface: 'eth1', address: parseAddress('fe80::9')! });
  toNode({ kind: 'bfd-changed', peer: 'tor', up: true, administrative: false });
  time.run(2000);
  toNode({ kind: 'wanted', plans: before, routes: [NEXT] });
  time.run(4000);
  away.add('tor');
  toNode({ kind: 'bfd-changed', peer: 'tor', up: false, administrative: false });
  time.run(15_000);
  away.delete('tor');
  time.run(20_000);
  toNode({ kind: 'wanted', plans: wanted({ ...tor, password: { ...password, text: 'another secret' } }), routes: [] });
  time.run(2000);
  toNode({ kind: 'drain' });
  time.run(1000);
  toNode({ kind: 'stop', why: 'the speaker is being stopped' });
  time.run(1000);
  node.save(
    'bgp-peers',
    'two-routers',
    {},
    'A node with two routers, one of them unnumbered: both hear its routes; one is lost and comes back; its password changes; the node is stopped.',
  );
}

function recordLeadership(): void {
  const time = new Timeline();
  let lease: LeaseRecord | undefined;
  let version = 0;
  let isDown = false;
  const contender = (identity: string) => {
    const feed = (input: LeadershipInput) => one.driver.feed(input);
    const one = recorded(leadershipMachine, initialLeadership(identity), time, (output: LeadershipOutput) => {
      if (output.kind !== 'read-lease' && output.kind !== 'write-lease') return;
      time.soon(() => {
        const fits = output.kind === 'read-lease' || output.version === lease?.version;
        if (isDown || !fits) feed({ kind: 'request-failed', message: isDown ? 'no answer' : 'conflict' });
        else if (output.kind === 'read-lease') feed({ kind: 'lease-read', record: lease });
        else {
          lease = { holder: output.holder, transitions: output.transitions, version: String(++version) };
          feed({ kind: 'lease-written', record: lease });
        }
      });
    });
    return { ...one, feed };
  };
  const [first, second] = [contender('controller-a'), contender('controller-b')];
  first.feed({ kind: 'start' });
  time.run(1000);
  second.feed({ kind: 'start' });
  time.run(8000);
  first.driver.stop();
  time.run(25_000);
  isDown = true;
  time.run(15_000);
  second.save(
    'leadership',
    'taken-over',
    'controller-b',
    'The leader dies; the standby takes the Lease when it has not been renewed for its duration, and steps down when the API does not answer.',
  );
}

recordBfd();
recordSession();
recordPeers();
recordLeadership();
