/**
 * The machine of all BGP of this node with its connections; and, where that is turned on, the port that routers may connect to.
 * @module
 */
import type { Clock } from '../../adapters/driver/clock.ts';
import { Driver, type DriverOptions } from '../../adapters/driver/driver.ts';
import type { Stream, StreamListener } from '../../adapters/wire/stream-connection.ts';
import { peersMachine } from '../../core/bgp/peers/fsm.ts';
import { isRouterOf, signedAddress } from '../../core/bgp/peers/router-address.ts';
import { initialPeers, type PeersInput, type PeersOutput, type PeersState } from '../../core/bgp/peers/state.ts';
import { type Initiator, optionsOf, type SessionState } from '../../core/bgp/session/state.ts';
import type { Peer } from '../../core/config/config.ts';
import { type IpFamily, parseAddress } from '../../core/net/address.ts';
import { BgpConnections, md5Key } from './bgp-connections.ts';
import { type BgpNetwork, KERNEL } from './bgp-network.ts';

export interface BgpSessionsOptions {
  readonly node: string;
  /** Routers may connect to this port; 0: they may not. */
  readonly listenPort: number;
  readonly clock?: Clock;
  /** Default: the kernel's. */
  readonly network?: BgpNetwork | undefined;
  readonly record?: DriverOptions<PeersInput, PeersOutput>['record'];
  /** All outputs of the machine; connections have been taken care of. */
  readonly onOutput: (output: PeersOutput) => void;
  /** Nobody can connect to us. */
  readonly onListenFailed: (why: string) => void;
}

export class BgpSessions {
  readonly #options: BgpSessionsOptions;
  readonly #network: BgpNetwork;
  readonly #driver: Driver<PeersState, PeersInput, PeersOutput>;
  /** By name of the BGPPeer. */
  readonly #connections = new Map<string, BgpConnections>();
  #listeners: ReadonlyMap<IpFamily, StreamListener> | undefined;

  constructor(options: BgpSessionsOptions) {
    this.#options = options;
    const { clock, record, network = KERNEL } = options;
    this.#network = network;
    this.#driver = new Driver(peersMachine, initialPeers(), {
      perform: (output) => this.#perform(output),
      record,
      ...(clock !== undefined && { clock }),
    });
  }

  get state(): PeersState {
    return this.#driver.state;
  }

  /** The clock of the machine's times, in milliseconds. */
  get now(): number {
    return this.#driver.now;
  }

  feed(input: PeersInput): void {
    this.#driver.feed(input);
  }

  /** The session with the router of a BGPPeer; undefined: there is none. */
  session(peer: string): SessionState | undefined {
    return this.state.peers.get(peer)?.session;
  }

  /** The ends of a connection; undefined: it is gone. */
  ends(peer: string, initiator: Initiator): ReturnType<BgpConnections['ends']> {
    return this.#connections.get(peer)?.ends(initiator);
  }

  #perform(output: PeersOutput): void {
    switch (output.kind) {
      case 'opened':
        this.#open(output.peer);
        break;
      case 'gone':
        this.#connections.get(output.peer.name)?.dismiss();
        this.#connections.delete(output.peer.name);
        this.#sign(output.peer, false);
        break;
      case 'connect':
        this.#connections.get(output.peer)?.connect(output.to);
        break;
      case 'session':
        this.#performSession(output);
        break;
      case 'stopped':
        for (const listener of this.#listeners?.values() ?? []) listener.close();
    }
    this.#options.onOutput(output);
  }

  #performSession({ peer, output }: Extract<PeersOutput, { kind: 'session' }>): void {
    const connections = this.#connections.get(peer);
    if (output.kind === 'send') connections?.send(output.initiator, output.bytes);
    else if (output.kind === 'close') connections?.close(output.initiator);
    else if (output.kind === 'refuse') connections?.refuse();
  }

  #open(peer: Peer): void {
    const { name } = peer;
    const connections = new BgpConnections({
      peer,
      node: this.#options.node,
      network: this.#network,
      feed: (input) => this.feed({ kind: 'session', peer: name, input }),
      optionsOf: (initiator) => optionsOf(this.session(name)?.connections.get(initiator)),
    });
    this.#connections.set(name, connections);
    this.#listen();
    this.#sign(peer, true);
  }

  #listen(): void {
    const { listenPort, onListenFailed } = this.#options;
    if (listenPort === 0 || this.#listeners !== undefined) return;
    const listeners = new Map<IpFamily, StreamListener>();
    for (const family of ['ipv4', 'ipv6'] as const) {
      try {
        const listener = this.#network.listen(family, listenPort, (socket, limit) => this.#welcome(socket, limit));
        listeners.set(family, listener);
      } catch (error) {
        onListenFailed((error as Error).message);
      }
    }
    this.#listeners = listeners;
  }

  #welcome(socket: Stream, limit: (hops: number) => void): void {
    const [text = '', zone] = (socket.remoteAddress ?? '').split('%');
    const address = parseAddress(text);
    const connections = address && [...this.#connections.values()].find(({ peer }) => isRouterOf(peer, address, zone));
    // Whoever has to sign what he sends does not get in where nobody could check it.
    if (
      connections === undefined ||
      (connections.peer.password !== undefined && signedAddress(connections.peer) === undefined)
    ) {
      socket.destroy();
      return;
    }
    const { ttlSecurityHops } = connections.peer;
    if (ttlSecurityHops !== undefined) limit(ttlSecurityHops);
    connections.accept(socket);
  }

  /** The kernel takes connections that are signed with the key of their peer, and no others from there. */
  #sign(peer: Peer, isWanted: boolean): void {
    const key = md5Key(peer);
    const address = signedAddress(peer);
    if (address === undefined || typeof key !== 'object') return;
    this.#listeners?.get(address.family)?.setMd5(address, isWanted ? key : undefined);
  }
}
