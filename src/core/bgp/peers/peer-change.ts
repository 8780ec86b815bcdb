/**
 * What a change of a BGPPeer does to sessions that stand. Most of it they live through: only what both sides agreed on when they opened,
 * and what their connection is made of, takes a new session (RFC 4271 §4.2, RFC 5492).
 * @module
 */

import { placeOf } from '../../config/bgp-peers.ts';
import type { Peer } from '../../config/config.ts';
import type { Millis } from '../../machine.ts';
import { equal } from '../../net/equal.ts';

/** Upstream's native mode offers the same. */
const HOLD_TIME: Millis = 90_000;

/** What the session offers: whole seconds. */
export function holdTimeOf({ holdTime = HOLD_TIME }: Pick<Peer, 'holdTime'>): Millis {
  return Math.trunc(holdTime / 1000) * 1000;
}

/** Names of fields, and what sessions take from them. */
const AGREED: readonly (readonly [field: string, value: (peer: Peer) => unknown])[] = [
  ['myASN', ({ myASN }) => myASN],
  ['localASN', ({ myASN, localASN = myASN }) => localASN],
  ['peerPort', ({ port }) => port],
  ['sourceAddress', ({ sourceAddress }) => sourceAddress],
  ['vrf', ({ vrf }) => vrf],
  ['routerID', ({ routerId }) => routerId],
  ['the password', ({ password }) => password],
  ['holdTime', holdTimeOf],
  ['enableGracefulRestart', ({ gracefulRestart }) => gracefulRestart],
  ['dualStackAddressFamily', ({ dualStack }) => dualStack],
  ['the annotation metallb.io/ttl-security-hops', ({ ttlSecurityHops }) => ttlSecurityHops],
];

/** The fields for whose sake sessions have to begin again; empty: they go on. */
export function renewedBy(before: Peer, after: Peer): string[] {
  const differ = (value: (peer: Peer) => unknown) => !equal(value(before), value(after));
  return [
    ...(differ(({ target }) => target) ? [placeName(after)] : []),
    ...(mayRefuse(before, after) ? [typeof after.peerASN === 'number' ? 'peerASN' : 'dynamicASN'] : []),
    ...AGREED.filter(([, value]) => differ(value)).map(([field]) => field),
  ];
}

/** What says where the router is. */
function placeName(peer: Peer): string {
  const [path] = placeOf(peer);
  const name = path.at(-1)!;
  return path[0] === 'metadata' ? `the annotation ${name}` : name;
}

/** A BGPPeer that ends sessions by what has become of it. */
export interface Renewal {
  readonly before: Peer;
  readonly after: Peer;
  /** For whose sake. */
  readonly fields: readonly string[];
}

/** Of two configurations, the peers that are in both. */
export function renewals(before: readonly Peer[], after: readonly Peer[]): Renewal[] {
  const known = new Map(before.map((peer) => [peer.name, peer]));
  return after.flatMap((peer) => {
    const old = known.get(peer.name);
    const fields = old === undefined ? [] : renewedBy(old, peer);
    return fields.length === 0 ? [] : [{ before: old!, after: peer, fields }];
  });
}

/** A router that was taken under the old rule for AS numbers might not be under the new one. */
function mayRefuse(before: Peer, after: Peer): boolean {
  if (before.peerASN === after.peerASN) return false;
  if (typeof before.peerASN !== 'number') return true;
  const isInternal = before.peerASN === before.myASN;
  return after.peerASN !== (isInternal ? 'internal' : 'external');
}
