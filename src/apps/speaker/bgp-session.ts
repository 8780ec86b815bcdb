/**
 * One BGP session: its machine, and the connections that it has with the router.
 * @module
 */
import type { Socket } from 'node:net';
import { Driver } from '../../adapters/driver/driver.ts';
import { localEnd } from '../../adapters/linux/local-end.ts';
import { connectStream, type StreamTarget } from '../../adapters/wire/stream-connection.ts';
import { sessionMachine } from '../../core/bgp/session/fsm.ts';
import type { SessionSettings } from '../../core/bgp/session/negotiation.ts';
import { holdTimeOf } from '../../core/bgp/session/peer-change.ts';
import {
  type Initiator,
  initialSession,
  optionsOf,
  type SessionInput,
  type SessionOutput,
  type SessionState,
  type StopCause,
} from '../../core/bgp/session/state.ts';
import { frameLength } from '../../core/bgp/wire/codec.ts';
import type { Peer } from '../../core/config/config.ts';
import { formatAddress, type IpAddress, isLinkLocal, parseAddress } from '../../core/net/address.ts';
import { fingerprint } from '../../core/net/fingerprint.ts';
import { familiesOf } from '../../core/speaker/bgp-decision.ts';

export type SessionNews = Exclude<SessionOutput, { kind: 'connect' | 'close' | 'refuse' }>;

function sessionSettings(peer: Peer): SessionSettings {
  return {
    asn: peer.myASN,
    localAsn: peer.localASN ?? peer.myASN,
    peerAsn: peer.peerASN,
    holdTime: holdTimeOf(peer),
    keepaliveTime: peer.keepaliveTime,
    connectTime: peer.connectTime,
    families: familiesOf(peer),
    gracefulRestart: peer.gracefulRestart,
    passive: peer.passive,
    delayOpen: peer.delayOpen,
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

/** The key of TCP-MD5; a text: why it cannot be one. */
export function md5Key({ password }: Peer): Uint8Array | string | undefined {
  const key = password && Buffer.from(password.text, password.encoding);
  if (key === undefined || key.length <= LONGEST_KEY) return key;
  return `the password has ${key.length} bytes, and TCP MD5 takes ${LONGEST_KEY} at most`;
}

/** One TCP connection, and what of it has not made a whole message yet. */
interface Link {
  readonly socket: Socket;
  stream: Uint8Array;
}

export class BgpSession {
  #peer: Peer;
  readonly #node: string;
  readonly #onNews: (news: SessionNews) => void;
  readonly #driver: Driver<SessionState, SessionInput, SessionOutput>;
  readonly #links = new Map<Initiator, Link>();
  /** A connection that stands and that the machine has not taken yet. */
  #newcomer: { readonly initiator: Initiator; readonly socket: Socket } | undefined;
  #abort: () => void = () => {};
  /** Of an unnumbered peer: the router on the other end of the interface. */
  #found: IpAddress | undefined;

  constructor(peer: Peer, node: string, onNews: (news: SessionNews) => void) {
    this.#peer = peer;
    this.#node = node;
    this.#onNews = onNews;
    this.#driver = new Driver(sessionMachine, initialSession(sessionSettings(peer)), {
      perform: (output) => this.#perform(output),
    });
  }

  get peer(): Peer {
    return this.#peer;
  }

  /** The peer after a change that the session lives through (core/bgp/session/peer-change.ts). */
  adjust(peer: Peer): void {
    if (fingerprint(sessionSettings(peer)) !== fingerprint(this.state.settings))
      this.feed({ kind: 'settings', settings: sessionSettings(peer) });
    this.#peer = peer;
  }

  get state(): SessionState {
    return this.#driver.state;
  }

  /** The clock of the session's times, in milliseconds. */
  get now(): number {
    return this.#driver.now;
  }

  feed(input: SessionInput): void {
    this.#driver.feed(input);
  }

  /** `hold`: a router that can is to keep the routes, for we come back (RFC 4724). */
  stop(cause: StopCause, why: string, hold: boolean): void {
    this.feed({ kind: 'stop', cause, why, hold });
    this.#driver.stop();
  }

  /** True when the router at this address, which connects to us, is the one of this session. `remote` in Node's words. */
  isAt(remote: string): boolean {
    const [text = '', zone] = remote.split('%');
    const address = parseAddress(text);
    const { target } = this.peer;
    if (address === undefined) return false;
    if (target.kind === 'interface') return zone === target.name && isLinkLocal(address);
    return (
      target.kind === 'address' && target.address.family === address.family && target.address.value === address.value
    );
  }

  /** The router has connected to us. */
  accept(socket: Socket): void {
    this.#connected('theirs', socket);
  }

  /** Of an unnumbered peer: its router, once it is known. */
  get found(): IpAddress | undefined {
    return this.#found;
  }

  /** The router at the other end of the interface has made itself known. */
  routerFound(address: IpAddress): void {
    const isNews = this.#found?.value !== address.value;
    this.#found = address;
    if (isNews) this.feed({ kind: 'start' });
  }

  /** The ends of a connection; undefined: it is gone. */
  ends(initiator: Initiator): Pick<Socket, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'> | undefined {
    return this.#links.get(initiator)?.socket;
  }

  #perform(output: SessionOutput): void {
    switch (output.kind) {
      case 'connect':
        this.#connect();
        return;
      case 'send':
        this.#adopt();
        this.#links.get(output.initiator)?.socket.write(output.bytes);
        this.#onNews(output);
        return;
      case 'refuse':
        this.#newcomer?.socket.destroy();
        this.#newcomer = undefined;
        return;
      case 'close':
        this.#close(output.initiator);
        return;
      default:
        this.#onNews(output);
    }
  }

  /** Where the router is; or, in words, why nobody can connect to it. */
  #target(): StreamTarget | string {
    const { target, port, sourceAddress, vrf, ttlSecurityHops } = this.peer;
    const md5 = md5Key(this.peer);
    if (typeof md5 === 'string') return md5;
    const rest = { port, source: sourceAddress, device: vrf, md5, ttlSecurityHops };
    if (target.kind === 'address') {
      const zone = isLinkLocal(target.address) ? target.zone : undefined;
      return { ...rest, address: target.address, zone };
    }
    if (target.kind !== 'interface') return target.kind === 'unknown' ? target.why : 'its router is not found yet';
    if (this.#found !== undefined) return { ...rest, address: this.#found, zone: target.name };
    return `no router has made itself known on ${target.name}: it has to send router advertisements there (RFC 4861)`;
  }

  #connect(): void {
    const where = this.#target();
    if (typeof where === 'string') {
      // Later than the step that asked for it: a machine is not fed while it is stepped.
      setImmediate(() => this.feed({ kind: 'connect-failed', why: where }));
      return;
    }
    this.#abort = connectStream(where, (result) => {
      if (result.ok) this.#connected('ours', result.socket);
      else this.feed({ kind: 'connect-failed', why: CONNECT_ERRORS[result.code] ?? `${result.call}: ${result.code}` });
    });
  }

  #connected(initiator: Initiator, socket: Socket): void {
    this.#newcomer = { initiator, socket };
    const local = localEnd(socket.localAddress ?? '', this.peer.routerId, this.#node);
    // The machine refuses it, or speaks on it.
    this.feed({ kind: 'connected', initiator, local });
    this.#adopt();
  }

  #adopt(): void {
    if (this.#newcomer === undefined) return;
    const { initiator, socket } = this.#newcomer;
    this.#newcomer = undefined;
    const link: Link = { socket, stream: new Uint8Array() };
    this.#links.set(initiator, link);
    socket.on('data', (data) => this.#receive(initiator, link, data));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      this.#lost(initiator, link, CONNECT_ERRORS[error.code ?? ''] ?? error.message),
    );
    socket.on('close', () => this.#lost(initiator, link, 'the router closed the connection'));
  }

  #lost(initiator: Initiator, link: Link, why: string): void {
    if (this.#links.get(initiator) === link) this.feed({ kind: 'closed', initiator, why });
  }

  #close(initiator: Initiator): void {
    if (initiator === 'ours') this.#abort();
    const socket = this.#links.get(initiator)?.socket;
    this.#links.delete(initiator);
    // What was written last, a NOTIFICATION, still goes out.
    socket?.end();
    socket?.destroySoon();
  }

  #receive(initiator: Initiator, link: Link, data: Buffer): void {
    link.stream = link.stream.length === 0 ? data : Buffer.concat([link.stream, data]);
    while (this.#links.get(initiator) === link) {
      const frame = frameLength(link.stream, optionsOf(this.state.connections.get(initiator)));
      if (frame === undefined) return;
      if ('code' in frame) {
        this.feed({ kind: 'unframeable', initiator, error: frame });
        return;
      }
      if (link.stream.length < frame.length) return;
      const bytes = link.stream.subarray(0, frame.length);
      link.stream = link.stream.subarray(frame.length);
      this.feed({ kind: 'frame', initiator, bytes });
    }
  }
}

export function whereabouts({ target }: Peer): string {
  switch (target.kind) {
    case 'address':
      return formatAddress(target.address);
    case 'interface':
      return target.name;
    default:
      return 'unknown';
  }
}

/** Upstream's label of a session. */
export function labelOf(peer: Peer): string {
  const address = whereabouts(peer);
  return `${address.includes(':') ? `[${address}]` : address}:${peer.port}`;
}
