/**
 * The OPEN that we send, and the negotiation with the peer's OPEN (RFC 4271 §6.2, RFC 5492).
 * @module
 */
import type { Millis } from '../../machine.ts';
import type { IpAddress } from '../../net/address.ts';
import { namesFamilies } from '../wire/capabilities.ts';
import { type BgpError, bgpError } from '../wire/errors.ts';
import {
  type AddressFamily,
  AS_TRANS,
  type Capability,
  type CodecOptions,
  type GracefulRestart,
  type OpenMessage,
} from '../wire/messages.ts';

export interface SessionSettings {
  /** Our AS number (myASN), and the one that we present to this peer (localASN if set, else the same). */
  readonly asn: number;
  readonly localAsn: number;
  /** The AS number that the peer's OPEN must have: this one, ours (internal), or any but ours (external). */
  readonly peerAsn: number | 'internal' | 'external';
  /** Milliseconds; 0: no hold timer. */
  readonly holdTime: Millis;
  /** Milliseconds; undefined: a third of the negotiated hold time. */
  readonly keepaliveTime: Millis | undefined;
  /** Milliseconds between attempts to connect; undefined: 1 s, doubling up to 120 s. */
  readonly connectTime: Millis | undefined;
  readonly families: readonly AddressFamily[];
  readonly gracefulRestart: boolean;
  /** We never connect, the peer does (PassiveTcpEstablishment of RFC 4271 §8.1.1). */
  readonly passive: boolean;
  /** How long to wait for the OPEN of a peer that has connected before we send ours (DelayOpenTime of RFC 4271 §8.1.1); 0: not at all. */
  readonly delayOpen: Millis;
}

/** Our end of an open connection. */
export interface LocalEnd {
  /** BGP identifier, an unsigned 32-bit number other than 0. */
  readonly identifier: number;
  /** The address of the connection first, then others of the same interface. */
  readonly addresses: readonly IpAddress[];
}

/** The outcome of a successful negotiation. */
export interface Negotiated extends CodecOptions {
  readonly peerAsn: number;
  readonly external: boolean;
  readonly identifier: number;
  /** Milliseconds; 0: no hold timer. */
  readonly holdTime: Millis;
  readonly keepaliveTime: Millis;
  readonly families: readonly AddressFamily[];
  readonly enhancedRefresh: boolean;
  /** The peer's graceful restart capability; undefined: it has none. */
  readonly gracefulRestart: GracefulRestart | undefined;
  readonly capabilities: readonly Capability[];
}

/** Seconds for which we ask the peer to retain our routes while we restart. */
const RESTART_TIME = 120;

/** `restarting`: we have not had a session with this peer since we were started (RFC 4724 §3). */
export function ourOpen(settings: SessionSettings, { identifier }: LocalEnd, restarting: boolean): OpenMessage {
  const { localAsn, holdTime, families, gracefulRestart } = settings;
  const restart: GracefulRestart = {
    kind: 'graceful-restart',
    restarting,
    notification: true,
    restartTime: RESTART_TIME,
    families: families.map((family) => ({ family, forwarding: true })),
  };
  const capabilities: Capability[] = [
    ...families.map((family): Capability => ({ kind: 'multiprotocol', family })),
    { kind: 'route-refresh' },
    { kind: 'enhanced-route-refresh' },
    { kind: 'extended-message' },
    { kind: 'four-octet-as', asn: localAsn },
    ...(families.includes('ipv4') ? [{ kind: 'extended-next-hop', family: 'ipv4', nextHop: 'ipv6' } as const] : []),
    ...(gracefulRestart ? [restart] : []),
  ];
  const asn = localAsn > 0xffff ? AS_TRANS : localAsn;
  return { kind: 'open', version: 4, asn, holdTime: holdTime / 1000, identifier, capabilities };
}

function capability<K extends Capability['kind']>(capabilities: readonly Capability[], kind: K) {
  return capabilities.find((each) => each.kind === kind) as Extract<Capability, { kind: K }> | undefined;
}

export function peerAsnOf({ asn, capabilities }: OpenMessage): number {
  return capability(capabilities, 'four-octet-as')?.asn ?? asn;
}

/** Milliseconds; at most a third of the negotiated hold time, which may be shorter than ours. */
export function keepaliveTimeOf({ keepaliveTime }: Pick<SessionSettings, 'keepaliveTime'>, holdTime: Millis): Millis {
  const third = holdTime / 3;
  return keepaliveTime === undefined ? third : Math.min(keepaliveTime, third);
}

export function negotiate(settings: SessionSettings, local: LocalEnd, message: OpenMessage): Negotiated | BgpError {
  const { asn, localAsn, peerAsn: expected, families, holdTime: ours } = settings;
  const { version, identifier, capabilities } = message;
  if (version !== 4) return bgpError('open', 1, `the router speaks BGP version ${version}`, Uint8Array.of(0, 4));
  const peerAsn = peerAsnOf(message);
  const isExpected =
    expected === 'internal' ? peerAsn === asn : expected === 'external' ? peerAsn !== asn : peerAsn === expected;
  if (!isExpected) {
    const wanted = typeof expected === 'number' ? `AS ${expected}` : `an ${expected} peer, and we are AS ${asn}`;
    return bgpError('open', 2, `the router is AS ${peerAsn}; the BGPPeer expects ${wanted}`);
  }
  const external = peerAsn !== asn;
  if (identifier === 0 || (!external && identifier === local.identifier))
    return bgpError('open', 3, 'the BGP identifier of the router is 0 or the same as ours: give it one of its own');
  if (message.holdTime === 1 || message.holdTime === 2)
    return bgpError('open', 6, `the router offers a hold time of ${message.holdTime} s`);
  const spoken = capabilities.flatMap((each) => (each.kind === 'multiprotocol' ? each.family : []));
  // A peer without the multiprotocol capability speaks IPv4 (RFC 4760 §8).
  const theirs = namesFamilies(capabilities) ? spoken : ['ipv4'];
  const agreed = families.filter((family) => theirs.includes(family));
  if (agreed.length === 0) {
    const cure = 'activate the family for this neighbor';
    return bgpError('open', 7, `the router does not offer ${families.join(' or ')} unicast: ${cure}`);
  }
  const fourOctetAs = capability(capabilities, 'four-octet-as') !== undefined;
  if (!fourOctetAs && localAsn > 0xffff)
    return bgpError('open', 7, `the router supports only two-byte AS numbers, and ours is ${localAsn}`);
  const holdTime = Math.min(ours, message.holdTime * 1000);
  return {
    peerAsn,
    external,
    identifier,
    holdTime,
    keepaliveTime: keepaliveTimeOf(settings, holdTime),
    families: agreed,
    fourOctetAs,
    extendedMessage: capability(capabilities, 'extended-message') !== undefined,
    enhancedRefresh: capability(capabilities, 'enhanced-route-refresh') !== undefined,
    gracefulRestart: capability(capabilities, 'graceful-restart'),
    capabilities,
  };
}
