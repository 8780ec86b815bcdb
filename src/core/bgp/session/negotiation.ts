/**
 * What two BGP speakers say of themselves in their OPENs, and what they agree on by it (RFC 4271 §6.2, RFC 5492).
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
  /** Our AS number (myASN), and the one that we go by towards this peer (localASN, or the same). */
  readonly asn: number;
  readonly localAsn: number;
  /** What the peer must call itself: this, our own AS, or any other. */
  readonly peerAsn: number | 'internal' | 'external';
  /** Milliseconds; 0: no hold timer. */
  readonly holdTime: Millis;
  /** Undefined: a third of the hold time that is agreed on. */
  readonly keepaliveTime: Millis | undefined;
  /** Milliseconds between attempts to connect; undefined: 1 s, doubling up to 120 s. */
  readonly connectTime: Millis | undefined;
  readonly families: readonly AddressFamily[];
  readonly gracefulRestart: boolean;
  /** True: the peer has to connect to us. */
  readonly passive: boolean;
  /** Milliseconds that a peer which connects to us may take to speak first (DelayOpen of RFC 4271 §8.1.1); 0: we speak at once. */
  readonly delayOpen: Millis;
}

/** What is known of our end once a connection stands. */
export interface LocalEnd {
  /** BGP identifier, an unsigned 32-bit number other than 0. */
  readonly identifier: number;
  /** That of the connection first, then others of the same interface. */
  readonly addresses: readonly IpAddress[];
}

/** What both sides have agreed on. */
export interface Negotiated extends CodecOptions {
  readonly peerAsn: number;
  readonly external: boolean;
  readonly identifier: number;
  /** Milliseconds; 0: none. */
  readonly holdTime: Millis;
  readonly keepaliveTime: Millis;
  readonly families: readonly AddressFamily[];
  readonly enhancedRefresh: boolean;
  /** What the peer says of its own restarts; undefined: nothing. */
  readonly gracefulRestart: GracefulRestart | undefined;
  readonly capabilities: readonly Capability[];
}

/** Seconds that a helper is to keep our routes while we restart. */
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

/** Milliseconds; where the hold time is cut down, keepalives have to come as much more often. */
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
    return bgpError('open', 3, 'the router has the BGP identifier of this node, or none: each needs one of its own');
  if (message.holdTime === 1 || message.holdTime === 2)
    return bgpError('open', 6, `the router offers a hold time of ${message.holdTime} s`);
  const spoken = capabilities.flatMap((each) => (each.kind === 'multiprotocol' ? each.family : []));
  // A peer that names no family speaks IPv4 (RFC 4760 §8).
  const theirs = namesFamilies(capabilities) ? spoken : ['ipv4'];
  const agreed = families.filter((family) => theirs.includes(family));
  if (agreed.length === 0) {
    const cure = 'activate the family for this neighbor';
    return bgpError('open', 7, `the router does not speak ${families.join(' or ')} unicast with us: ${cure}`);
  }
  const fourOctetAs = capability(capabilities, 'four-octet-as') !== undefined;
  if (!fourOctetAs && localAsn > 0xffff)
    return bgpError('open', 7, `the router knows AS numbers of two bytes only, and ours is ${localAsn}`);
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
