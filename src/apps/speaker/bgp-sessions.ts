/**
 * The BGP sessions of this node: one machine and one connection for each router.
 * @module
 */
import type { Socket } from 'node:net';
import { Driver } from '../../adapters/driver/driver.ts';
import { localEnd } from '../../adapters/linux/local-end.ts';
import type { BfdTarget } from '../../adapters/wire/bfd-sessions.ts';
import { connectStream, type StreamTarget } from '../../adapters/wire/stream-connection.ts';
import { BFD_DEFAULTS } from '../../core/bfd/fsm.ts';
import { BEFORE_OPEN, frameLength } from '../../core/bgp/codec.ts';
import {
  initialSession,
  type Negotiated,
  type SessionCounter,
  type SessionInput,
  type SessionOutput,
  type SessionSettings,
  type SessionState,
  sessionMachine,
} from '../../core/bgp/fsm.ts';
import { goingAway, type Route } from '../../core/bgp/rib.ts';
import type { BfdProfile, Peer } from '../../core/config/config.ts';
import { formatAddress } from '../../core/net/address.ts';

export interface BgpSessionsOptions {
  readonly node: string;
  readonly onUp: (peer: string, negotiated: Negotiated) => void;
  readonly onDown: (peer: string, why: string) => void;
  readonly onAttemptFailed: (peer: string, why: string) => void;
  readonly onCount: (peer: string, counter: SessionCounter, by: number) => void;
  /** The session exists no longer. */
  readonly onRemoved: (label: string, address: string) => void;
}

export interface SessionPlan {
  readonly peer: Peer;
  readonly bfd: BfdProfile | undefined;
  readonly routes: readonly Route[];
}

/** Milliseconds; upstream's native mode offers the same. */
const HOLD_TIME = 90_000;

export class BgpSessions {
  readonly #options: BgpSessionsOptions;
  /** By name of the BGPPeer. */
  readonly #sessions = new Map<string, { readonly settings: string; readonly session: Session }>();

  constructor(options: BgpSessionsOptions) {
    this.#options = options;
  }

  /** The whole of what there should be. A change of routes goes to the router; a change of the peer makes a new session. */
  set(plans: readonly SessionPlan[]): void {
    const wanted = new Map(plans.map((plan) => [plan.peer.name, plan]));
    for (const [name, { settings, session }] of this.#sessions) {
      const plan = wanted.get(name);
      if (plan !== undefined && settingsOf(plan.peer) === settings) continue;
      session.stop(plan === undefined ? 'the BGPPeer was removed' : 'the BGPPeer was changed', false);
      this.#sessions.delete(name);
      this.#options.onRemoved(labelOf(session.peer), whereabouts(session.peer));
    }
    for (const [name, { peer, routes }] of wanted) {
      const known = this.#sessions.get(name);
      if (known !== undefined) {
        known.session.feed({ kind: 'routes', routes });
        continue;
      }
      const session = new Session(peer, this.#options);
      this.#sessions.set(name, { settings: settingsOf(peer), session });
      session.feed({ kind: 'routes', routes });
      session.feed({ kind: 'start' });
    }
  }

  /** For metrics and status: what is known of each session, by the name of its BGPPeer. */
  get states(): ReadonlyMap<string, { readonly peer: Peer; readonly state: SessionState }> {
    return new Map(
      [...this.#sessions].map(([name, { session }]) => [name, { peer: session.peer, state: session.state }]),
    );
  }

  /** Of the router of a BGPPeer, or its interface; undefined: there is no session with it. */
  addressOf(peer: string): string | undefined {
    const known = this.#sessions.get(peer);
    return known && whereabouts(known.session.peer);
  }

  /** BFD has lost the router. */
  bfdDown(peer: string): void {
    this.#sessions.get(peer)?.session.feed({ kind: 'bfd-down' });
  }

  /** Asks all routers to prefer other nodes; true when there is one to be asked. */
  drain(): boolean {
    const established = [...this.#sessions.values()].filter(({ session }) => session.state.phase === 'established');
    for (const { session } of established)
      session.feed({ kind: 'routes', routes: session.state.wanted.map(goingAway) });
    return established.some(({ session }) => session.state.sent.size > 0);
  }

  /** Ends all sessions; routers that can do so keep the routes until we are back. */
  stop(why: string): void {
    for (const { session } of this.#sessions.values()) session.stop(why, true);
  }
}

/** Least TTL of packets from some hops away, where the profile says nothing (FRR's). */
const MINIMUM_TTL = 254;

/** How BFD is to watch the router of a plan; nothing without a profile. Inside an AS it is taken to be some hops away, as FRR does. */
export function bfdTarget({ peer, bfd }: SessionPlan): BfdTarget[] {
  if (bfd === undefined || peer.target.kind !== 'address') return [];
  const isInternal = peer.peerASN === 'internal' || peer.peerASN === peer.myASN;
  return [
    {
      peer: peer.name,
      address: peer.target.address,
      multihop: isInternal || peer.ebgpMultiHop,
      minimumTtl: bfd.minimumTtl ?? MINIMUM_TTL,
      transmitInterval: bfd.transmitInterval ?? BFD_DEFAULTS.transmitInterval,
      receiveInterval: bfd.receiveInterval ?? BFD_DEFAULTS.receiveInterval,
      detectMultiplier: bfd.detectMultiplier ?? BFD_DEFAULTS.detectMultiplier,
      passive: bfd.passiveMode,
    },
  ];
}

function whereabouts({ target }: Peer): string {
  return target.kind === 'address' ? formatAddress(target.address) : target.name;
}

/** Upstream's label of a session. */
export function labelOf(peer: Peer): string {
  return `${bracketed(whereabouts(peer))}:${peer.port}`;
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Everything that a change of which makes another session. */
function settingsOf(peer: Peer): string {
  return JSON.stringify(peer, (_, value) => (typeof value === 'bigint' ? String(value) : value));
}

function sessionSettings(peer: Peer): SessionSettings {
  const own = peer.target.kind === 'address' ? peer.target.address.family : 'ipv4';
  return {
    asn: peer.myASN,
    localAsn: peer.localASN ?? peer.myASN,
    peerAsn: peer.peerASN,
    holdTime: Math.trunc((peer.holdTime ?? HOLD_TIME) / 1000) * 1000,
    keepaliveTime: peer.keepaliveTime,
    connectTime: peer.connectTime,
    families: peer.dualStack || peer.target.kind === 'interface' ? ['ipv4', 'ipv6'] : [own],
    gracefulRestart: peer.gracefulRestart,
  };
}

/** Bytes (linux/tcp.h, TCP_MD5SIG_MAXKEYLEN). */
const LONGEST_KEY = 80;

/** What connecting can fail with, for people. */
const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'the router refuses the connection: no BGP there, not on this port, or it does not know this node as a neighbor',
  EHOSTUNREACH: 'the router does not answer on the link',
  ENETUNREACH: 'this node has no route to the router',
  ETIMEDOUT: 'the router does not answer',
  EADDRNOTAVAIL: 'spec.sourceAddress is no address of this node',
  ENODEV: 'spec.vrf or spec.interface names a device that this node does not have',
  ECONNRESET: 'the router closes the connection at once',
  EPERM: 'not permitted: binding to a device needs the capability NET_RAW',
};

/** Where a session goes; or, in words, why it cannot. */
function streamTarget({ target, port, sourceAddress, vrf, password }: Peer): StreamTarget | string {
  if (target.kind === 'interface') return 'peers by interface (unnumbered) are not built yet';
  const md5 = password && Buffer.from(password.text, password.encoding);
  if (md5 !== undefined && md5.length > LONGEST_KEY)
    return `the password has ${md5.length} bytes, and TCP MD5 takes ${LONGEST_KEY} at most`;
  return { address: target.address, port, source: sourceAddress, device: vrf, md5 };
}

class Session {
  readonly peer: Peer;
  readonly #options: BgpSessionsOptions;
  readonly #driver: Driver<SessionState, SessionInput, SessionOutput>;
  #abort: () => void = () => {};
  #socket: Socket | undefined;
  #stream: Uint8Array = new Uint8Array();

  constructor(peer: Peer, options: BgpSessionsOptions) {
    this.peer = peer;
    this.#options = options;
    this.#driver = new Driver(sessionMachine, initialSession(sessionSettings(peer)), {
      perform: (output) => this.#perform(output),
    });
  }

  get state(): SessionState {
    return this.#driver.state;
  }

  feed(input: SessionInput): void {
    this.#driver.feed(input);
  }

  stop(why: string, hold: boolean): void {
    this.feed({ kind: 'stop', why, hold });
    this.#driver.stop();
  }

  #perform(output: SessionOutput): void {
    const label = labelOf(this.peer);
    const { onUp, onDown, onAttemptFailed, onCount } = this.#options;
    switch (output.kind) {
      case 'connect':
        this.#connect();
        return;
      case 'send':
        this.#socket?.write(output.bytes);
        return;
      case 'close':
        this.#close();
        return;
      case 'session-up':
        onUp(this.peer.name, output.negotiated);
        return;
      case 'session-down':
        onDown(this.peer.name, output.why);
        return;
      case 'attempt-failed':
        onAttemptFailed(this.peer.name, output.why);
        return;
      case 'counted':
        onCount(label, output.counter, output.by);
    }
  }

  #connect(): void {
    const where = streamTarget(this.peer);
    if (typeof where === 'string') {
      // Later than the step that asked for it: a machine is not fed while it is stepped.
      setImmediate(() => this.feed({ kind: 'connect-failed', why: where }));
      return;
    }
    this.#abort = connectStream(where, (result) => {
      if (!result.ok) {
        this.feed({ kind: 'connect-failed', why: CONNECT_ERRORS[result.code] ?? `${result.call}: ${result.code}` });
        return;
      }
      const { socket } = result;
      this.#socket = socket;
      this.#stream = new Uint8Array();
      socket.on('data', (data) => this.#receive(socket, data));
      socket.on('error', (error: NodeJS.ErrnoException) =>
        this.#lost(socket, CONNECT_ERRORS[error.code ?? ''] ?? error.message),
      );
      socket.on('close', () => this.#lost(socket, 'the router closed the connection'));
      this.feed({
        kind: 'connected',
        local: localEnd(socket.localAddress ?? '', this.peer.routerId, this.#options.node),
      });
    });
  }

  #lost(socket: Socket, why: string): void {
    if (this.#socket !== socket) return;
    this.feed({ kind: 'closed', why });
  }

  #close(): void {
    this.#abort();
    const socket = this.#socket;
    this.#socket = undefined;
    // What was written last, a NOTIFICATION, still goes out.
    socket?.end();
    socket?.destroySoon();
  }

  #receive(socket: Socket, data: Buffer): void {
    this.#stream = this.#stream.length === 0 ? data : Buffer.concat([this.#stream, data]);
    while (this.#socket === socket) {
      const frame = frameLength(this.#stream, this.state.negotiated ?? BEFORE_OPEN);
      if (frame === undefined) return;
      if ('code' in frame) {
        this.feed({ kind: 'unframeable', error: frame });
        return;
      }
      if (this.#stream.length < frame.length) return;
      const bytes = this.#stream.subarray(0, frame.length);
      this.#stream = this.#stream.subarray(frame.length);
      this.feed({ kind: 'frame', bytes });
    }
  }
}
