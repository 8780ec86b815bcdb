/**
 * Tells a BMP station (RFC 7854) what our routers are told.
 * @module
 */
import type { Log } from '../../adapters/log/log.ts';
import { StationConnection } from '../../adapters/wire/station-connection.ts';
import {
  type BmpPeer,
  bmpInitiation,
  bmpPeerDown,
  bmpPeerUp,
  bmpRoute,
  bmpStatistics,
  bmpTermination,
} from '../../core/bgp/bmp/messages.ts';
import { endOfRib, synchronize } from '../../core/bgp/rib/difference.ts';
import { established, outboundOf, type SessionOutput } from '../../core/bgp/session/state.ts';
import { isUpdate } from '../../core/bgp/wire/codec.ts';
import { parseAddress } from '../../core/net/address.ts';
import type { BgpSessions } from './bgp-sessions.ts';

export interface Station {
  readonly host: string;
  readonly port: number;
}

/** Milliseconds between statistics. */
const STATISTICS_INTERVAL = 60_000;

export class BmpExporter {
  readonly #station: StationConnection;
  readonly #timer: NodeJS.Timeout;
  readonly #sessions: BgpSessions;
  /** By name of the BGPPeer: routers whose sessions the station has been told of, as they were then. */
  readonly #told = new Map<string, BmpPeer>();

  constructor(where: Station, node: string, log: Log, sessions: BgpSessions) {
    this.#sessions = sessions;
    const text = `${where.host}:${where.port}`;
    this.#station = new StationConnection({
      ...where,
      onOpen: () => {
        log.info({ event: 'bmpConnected', station: text }, `BMP station ${text} is told of all sessions`);
        this.#station.write(bmpInitiation(node, 'metallb-ts speaker'));
        this.#told.clear();
        for (const name of sessions.state.peers.keys()) this.#introduce(name);
      },
      onLost: (why) => log.warn({ event: 'bmpLost', station: text, error: why }, `no BMP station at ${text}: ${why}`),
    });
    this.#timer = setInterval(() => {
      for (const [name, peer] of this.#told)
        this.#station.write(bmpStatistics(peer, sessions.session(name)?.sent.size ?? 0, Date.now()));
    }, STATISTICS_INTERVAL).unref();
  }

  /** `name`: of the BGPPeer. */
  onOutput(name: string, output: SessionOutput): void {
    if (output.kind === 'session-up') this.#introduce(name, false);
    if (output.kind === 'session-down') this.#forget(name);
    const peer = this.#told.get(name);
    if (output.kind === 'send' && peer !== undefined && isUpdate(output.bytes))
      this.#station.write(bmpRoute(peer, output.bytes, Date.now()));
  }

  /** The session has ended. */
  #forget(name: string): void {
    const peer = this.#told.get(name);
    if (peer !== undefined) this.#station.write(bmpPeerDown(peer, Date.now()));
    this.#told.delete(name);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#station.write(bmpTermination());
    this.#station.stop();
  }

  /** `withRoutes`: it has been up for a while, and its routes will not come by themselves. */
  #introduce(name: string, withRoutes = true): void {
    const session = this.#sessions.session(name);
    const connection = session && established(session);
    const ends = connection && this.#sessions.ends(name, connection.initiator);
    if (session === undefined || connection === undefined || ends === undefined) return;
    const { negotiated, opens } = connection.stage;
    const bare = (text: string | undefined) => parseAddress((text ?? '').replace(/%.*$/, ''));
    const [address, localAddress] = [bare(ends.remoteAddress), bare(ends.localAddress)];
    if (address === undefined || localAddress === undefined) return;
    const { peerAsn, identifier, fourOctetAs } = negotiated;
    const peer: BmpPeer = { address, asn: peerAsn, identifier, fourOctetAs };
    this.#told.set(name, peer);
    const ports = { localPort: ends.localPort ?? 0, remotePort: ends.remotePort ?? 0 };
    this.#station.write(bmpPeerUp(peer, { localAddress, ...ports }, opens, Date.now()));
    const outbound = withRoutes ? outboundOf(session) : undefined;
    if (outbound === undefined) return;
    const updates = synchronize(new Map(), session.wanted, outbound);
    const endings = negotiated.families.map((family) => endOfRib(family, outbound));
    for (const update of [...updates, ...endings]) this.#station.write(bmpRoute(peer, update, Date.now()));
  }
}
