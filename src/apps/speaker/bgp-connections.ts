/**
 * The TCP connections of one BGP session: opened, framed, and closed as its machine asks.
 * @module
 */
import type { Stream } from '../../adapters/wire/stream-connection.ts';
import type { DialTarget } from '../../core/bgp/peers/router-address.ts';
import type { ConnectionInput } from '../../core/bgp/peers/state.ts';
import type { Initiator } from '../../core/bgp/session/state.ts';
import { frameLength } from '../../core/bgp/wire/codec.ts';
import type { CodecOptions } from '../../core/bgp/wire/messages.ts';
import type { Peer } from '../../core/config/config.ts';
import type { BgpNetwork } from './bgp-network.ts';

/** Bytes (linux/tcp.h, TCP_MD5SIG_MAXKEYLEN). */
const LONGEST_KEY = 80;

/** What connecting can fail with, for people. */
const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'the router refuses the connection: no BGP there, not on this port, or it does not know this node as a neighbor',
  EHOSTUNREACH: 'the router does not answer on the link',
  ENETUNREACH: 'this node has no route to the router',
  ETIMEDOUT: 'the router does not answer',
  EADDRNOTAVAIL: 'spec.sourceAddress is not an address of this node',
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
  readonly socket: Stream;
  stream: Uint8Array;
}

export interface BgpConnectionsOptions {
  readonly peer: Peer;
  readonly node: string;
  readonly network: BgpNetwork;
  readonly feed: (input: ConnectionInput) => void;
  /** How messages of a connection are written now. */
  readonly optionsOf: (initiator: Initiator) => CodecOptions;
}

export class BgpConnections {
  readonly #options: BgpConnectionsOptions;
  readonly #links = new Map<Initiator, Link>();
  /** A connection that stands and that the machine has not taken yet. */
  #newcomer: { readonly initiator: Initiator; readonly socket: Stream } | undefined;
  #abort: () => void = () => {};
  #isDismissed = false;

  constructor(options: BgpConnectionsOptions) {
    this.#options = options;
  }

  get peer(): Peer {
    return this.#options.peer;
  }

  connect({ address, zone }: DialTarget): void {
    const { port, sourceAddress, vrf, ttlSecurityHops } = this.peer;
    const md5 = md5Key(this.peer);
    if (typeof md5 === 'string') {
      this.#feed({ kind: 'connect-failed', why: md5 });
      return;
    }
    const target = { address, zone, port, source: sourceAddress, device: vrf, md5, ttlSecurityHops };
    this.#abort = this.#options.network.connect(target, (result) => {
      if (result.ok) this.#connected('ours', result.socket);
      else this.#feed({ kind: 'connect-failed', why: CONNECT_ERRORS[result.code] ?? `${result.call}: ${result.code}` });
    });
  }

  /** The router has connected to us. */
  accept(socket: Stream): void {
    this.#connected('theirs', socket);
  }

  send(initiator: Initiator, bytes: Uint8Array): void {
    this.#adopt();
    this.#links.get(initiator)?.socket.write(bytes);
  }

  /** Closes the connection that has just come. */
  refuse(): void {
    this.#newcomer?.socket.destroy();
    this.#newcomer = undefined;
  }

  close(initiator: Initiator): void {
    if (initiator === 'ours') this.#abort();
    const socket = this.#links.get(initiator)?.socket;
    this.#links.delete(initiator);
    // What was written last, a NOTIFICATION, still goes out.
    socket?.destroySoon();
  }

  /** The session is gone: nothing is heard from here any more. */
  dismiss(): void {
    this.#isDismissed = true;
  }

  /** The ends of a connection; undefined: it is gone. */
  ends(initiator: Initiator): Pick<Stream, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'> | undefined {
    return this.#links.get(initiator)?.socket;
  }

  #feed(input: ConnectionInput): void {
    if (!this.#isDismissed) this.#options.feed(input);
  }

  #connected(initiator: Initiator, socket: Stream): void {
    if (this.#isDismissed) {
      socket.destroy();
      return;
    }
    this.#newcomer = { initiator, socket };
    const { peer, node, network } = this.#options;
    const local = network.localEnd(socket.localAddress ?? '', peer.routerId, node);
    // The machine refuses it, or speaks on it.
    this.#feed({ kind: 'connected', initiator, local });
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
    if (this.#links.get(initiator) === link) this.#feed({ kind: 'closed', initiator, why });
  }

  #receive(initiator: Initiator, link: Link, data: Buffer): void {
    link.stream = link.stream.length === 0 ? data : Buffer.concat([link.stream, data]);
    while (this.#links.get(initiator) === link) {
      const frame = frameLength(link.stream, this.#options.optionsOf(initiator));
      if (frame === undefined) return;
      if ('code' in frame) {
        this.#feed({ kind: 'unframeable', initiator, error: frame });
        return;
      }
      if (link.stream.length < frame.length) return;
      const bytes = link.stream.subarray(0, frame.length);
      link.stream = link.stream.subarray(frame.length);
      this.#feed({ kind: 'frame', initiator, bytes });
    }
  }
}
