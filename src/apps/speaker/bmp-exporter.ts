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
import { established, outboundOf } from '../../core/bgp/session/state.ts';
import { isUpdate } from '../../core/bgp/wire/codec.ts';
import { parseAddress } from '../../core/net/address.ts';
import type { BgpSession, SessionNews } from './bgp-session.ts';

export interface Station {
  readonly host: string;
  readonly port: number;
}

/** Milliseconds between statistics. */
const STATISTICS_INTERVAL = 60_000;

export class BmpExporter {
  readonly #station: StationConnection;
  readonly #timer: NodeJS.Timeout;
  /** Sessions that the station has been told of, as they were then. */
  readonly #told = new Map<BgpSession, BmpPeer>();

  constructor(where: Station, node: string, log: Log, sessions: () => readonly BgpSession[]) {
    const text = `${where.host}:${where.port}`;
    this.#station = new StationConnection({
      ...where,
      onOpen: () => {
        log.info({ event: 'bmpConnected', station: text }, `BMP station ${text} is told of all sessions`);
        this.#station.write(bmpInitiation(node, 'metallb-ts speaker'));
        this.#told.clear();
        for (const session of sessions()) this.#introduce(session);
      },
      onLost: (why) => log.warn({ event: 'bmpLost', station: text, error: why }, `no BMP station at ${text}: ${why}`),
    });
    this.#timer = setInterval(() => {
      for (const [session, peer] of this.#told)
        this.#station.write(bmpStatistics(peer, session.state.sent.size, Date.now()));
    }, STATISTICS_INTERVAL).unref();
  }

  news(session: BgpSession, news: SessionNews): void {
    if (news.kind === 'session-up') this.#introduce(session, false);
    if (news.kind === 'session-down') this.forget(session);
    const peer = this.#told.get(session);
    if (news.kind === 'send' && peer !== undefined && isUpdate(news.bytes))
      this.#station.write(bmpRoute(peer, news.bytes, Date.now()));
  }

  /** The session has ended. */
  forget(session: BgpSession): void {
    const peer = this.#told.get(session);
    if (peer !== undefined) this.#station.write(bmpPeerDown(peer, Date.now()));
    this.#told.delete(session);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#station.write(bmpTermination());
    this.#station.stop();
  }

  /** `withRoutes`: it has been up for a while, and its routes will not come by themselves. */
  #introduce(session: BgpSession, withRoutes = true): void {
    const connection = established(session.state);
    const { negotiated, initiator, opens } = connection ?? {};
    const ends = initiator && session.ends(initiator);
    if (negotiated === undefined || ends === undefined || opens?.sent === undefined || opens.received === undefined)
      return;
    const bare = (text: string | undefined) => parseAddress((text ?? '').replace(/%.*$/, ''));
    const [address, localAddress] = [bare(ends.remoteAddress), bare(ends.localAddress)];
    if (address === undefined || localAddress === undefined) return;
    const { peerAsn, identifier, fourOctetAs } = negotiated;
    const peer: BmpPeer = { address, asn: peerAsn, identifier, fourOctetAs };
    this.#told.set(session, peer);
    const ports = { localPort: ends.localPort ?? 0, remotePort: ends.remotePort ?? 0 };
    const { sent, received } = opens;
    this.#station.write(bmpPeerUp(peer, { localAddress, ...ports }, { sent, received }, Date.now()));
    const outbound = withRoutes ? outboundOf(session.state) : undefined;
    if (outbound === undefined) return;
    const updates = synchronize(new Map(), session.state.wanted, undefined, outbound);
    const endings = negotiated.families.map((family) => endOfRib(family, outbound));
    for (const update of [...updates, ...endings]) this.#station.write(bmpRoute(peer, update, Date.now()));
  }
}
