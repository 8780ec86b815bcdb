/**
 * The BGP sessions of this node, one for each router; and, where that is turned on, the port that routers may connect to.
 * @module
 */
import type { Socket } from 'node:net';
import { listenStream, type StreamListener } from '../../adapters/wire/stream-connection.ts';
import { goingAway } from '../../core/bgp/rib/route.ts';
import { RouteTable } from '../../core/bgp/rib/route-table.ts';
import { renewedBy } from '../../core/bgp/session/peer-change.ts';
import { established, holdsRoutes } from '../../core/bgp/session/state.ts';
import type { BfdProfile, Peer } from '../../core/config/config.ts';
import { type IpAddress, type IpFamily, isLinkLocal } from '../../core/net/address.ts';
import { BgpSession, md5Key, type SessionNews } from './bgp-session.ts';

export interface BgpSessionsOptions {
  readonly node: string;
  /** Routers may connect to this port; 0: they may not. */
  readonly listenPort: number;
  readonly onNews: (session: BgpSession, news: SessionNews) => void;
  /** Nobody can connect to us. */
  readonly onListenFailed: (why: string) => void;
  /** The session exists no longer. */
  readonly onRemoved: (peer: Peer) => void;
}

export interface SessionPlan {
  readonly peer: Peer;
  readonly bfd: BfdProfile | undefined;
  readonly routes: RouteTable;
}

export class BgpSessions {
  readonly #options: BgpSessionsOptions;
  /** By name of the BGPPeer. */
  readonly #sessions = new Map<string, BgpSession>();
  #listeners: ReadonlyMap<IpFamily, StreamListener> | undefined;
  /** Routers of unnumbered peers, by interface. */
  readonly #routers = new Map<string, IpAddress>();

  constructor(options: BgpSessionsOptions) {
    this.#options = options;
  }

  /** The whole of what there should be. A change of routes goes to the router; a change of the peer makes a new session only where it has to. */
  set(plans: readonly SessionPlan[]): void {
    const wanted = new Map(plans.map((plan) => [plan.peer.name, plan]));
    for (const [name, session] of this.#sessions) {
      const plan = wanted.get(name);
      // A change of routes brings the same peer.
      if (plan?.peer === session.peer) continue;
      const renewing = plan && renewedBy(session.peer, plan.peer);
      if (renewing?.length === 0) {
        session.adjust(plan!.peer);
        continue;
      }
      if (renewing === undefined)
        session.stop('de-configured', 'no BGPPeer is for this router and node any more', false);
      else session.stop('configuration-change', `the BGPPeer was changed: ${renewing.join(', ')}`, true);
      this.#sessions.delete(name);
      this.#sign(session.peer, false);
      this.#options.onRemoved(session.peer);
    }
    if (plans.length > 0) this.#listen();
    for (const [name, { peer, routes }] of wanted) {
      const known = this.#sessions.get(name);
      if (known !== undefined) {
        known.feed({ kind: 'routes', routes });
        continue;
      }
      const session: BgpSession = new BgpSession(peer, this.#options.node, (news) =>
        this.#options.onNews(session, news),
      );
      this.#sessions.set(name, session);
      this.#sign(peer, true);
      const router = peer.target.kind === 'interface' ? this.#routers.get(peer.target.name) : undefined;
      session.feed({ kind: 'routes', routes });
      if (router !== undefined) session.routerFound(router);
      session.feed({ kind: 'start' });
    }
  }

  get all(): BgpSession[] {
    return [...this.#sessions.values()];
  }

  /** Of a BGPPeer; undefined: there is none. */
  get(peer: string): BgpSession | undefined {
    return this.#sessions.get(peer);
  }

  /** A router has made itself known on an interface. */
  routerFound(name: string, address: IpAddress): void {
    this.#routers.set(name, address);
    for (const session of this.all)
      if (session.peer.target.kind === 'interface' && session.peer.target.name === name) session.routerFound(address);
  }

  /** Asks routers to prefer other nodes, but for those that keep our routes while we restart; true when there is one to be asked. */
  drain(): boolean {
    const asked = this.all.filter(({ state }) => {
      const connection = established(state);
      return connection !== undefined && !holdsRoutes(state, connection);
    });
    for (const session of asked) {
      const routes = RouteTable.of([...session.state.wanted.values()].map(goingAway));
      session.feed({ kind: 'routes', routes });
    }
    return asked.some(({ state }) => state.sent.size > 0);
  }

  /** Ends all sessions; routers that can do so keep the routes until we are back, unless the node was drained before. True: one does. */
  stop(why: string): boolean {
    let areHeld = false;
    for (const session of this.all) {
      const { state } = session;
      const isLeaving = [...state.wanted.values()].some(({ gracefulShutdown }) => gracefulShutdown);
      areHeld ||= !isLeaving && holdsRoutes(state, established(state));
      session.stop('shutdown', why, !isLeaving);
    }
    for (const listener of this.#listeners?.values() ?? []) listener.close();
    return areHeld;
  }

  #listen(): void {
    const { listenPort, onListenFailed } = this.#options;
    if (listenPort === 0 || this.#listeners !== undefined) return;
    const listeners = new Map<IpFamily, StreamListener>();
    for (const family of ['ipv4', 'ipv6'] as const) {
      try {
        const listener = listenStream(family, listenPort, (socket, limit) => this.#welcome(socket, limit));
        listeners.set(family, listener);
      } catch (error) {
        onListenFailed((error as Error).message);
      }
    }
    this.#listeners = listeners;
  }

  #welcome(socket: Socket, limit: (hops: number) => void): void {
    const session = this.all.find((each) => each.isAt(socket.remoteAddress ?? ''));
    // Whoever has to sign what he sends does not get in where nobody could check it.
    if (session === undefined || (session.peer.password !== undefined && signedAddress(session.peer) === undefined)) {
      socket.destroy();
      return;
    }
    const { ttlSecurityHops } = session.peer;
    if (ttlSecurityHops !== undefined) limit(ttlSecurityHops);
    session.accept(socket);
  }

  /** The kernel takes connections that are signed with the key of their peer, and no others from there. */
  #sign(peer: Peer, isWanted: boolean): void {
    const key = md5Key(peer);
    const address = signedAddress(peer);
    if (address === undefined || typeof key !== 'object') return;
    this.#listeners?.get(address.family)?.setMd5(address, isWanted ? key : undefined);
  }
}

/** The address that the kernel can be given a key for; undefined: the router is known by its link only. */
function signedAddress({ target }: Peer): IpAddress | undefined {
  return target.kind === 'address' && !isLinkLocal(target.address) ? target.address : undefined;
}
