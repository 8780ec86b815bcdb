/**
 * Which changes of a BGPPeer restart its sessions. Most do not: only what is negotiated in the OPENs, and the parameters of the TCP
 * connection, need a new session (RFC 4271 §4.2, RFC 5492).
 * @module
 */

import { placeOf } from '../../config/bgp-peers.ts';
import type { Peer } from '../../config/config.ts';
import type { Millis } from '../../machine.ts';
import { equal } from '../../net/equal.ts';

/** Default, as in upstream's native mode. */
const HOLD_TIME: Millis = 90_000;

/** The hold time that we offer: OPENs carry whole seconds. */
export function holdTimeOf({ holdTime = HOLD_TIME }: Pick<Peer, 'holdTime'>): Millis {
  return Math.trunc(holdTime / 1000) * 1000;
}

/** Fields whose change restarts a session, and the value that the session uses. */
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

/** The changed fields that restart sessions; empty: sessions continue. */
export function renewedBy(before: Peer, after: Peer): string[] {
  const differ = (value: (peer: Peer) => unknown) => !equal(value(before), value(after));
  return [
    ...(differ(({ target }) => target) ? [placeName(after)] : []),
    ...(mayRefuse(before, after) ? [typeof after.peerASN === 'number' ? 'peerASN' : 'dynamicASN'] : []),
    ...AGREED.filter(([, value]) => differ(value)).map(([field]) => field),
  ];
}

/** The name of the field that says where the router is. */
function placeName(peer: Peer): string {
  const [path] = placeOf(peer);
  const name = path.at(-1)!;
  return path[0] === 'metadata' ? `the annotation ${name}` : name;
}

/** A change of a BGPPeer that restarts its sessions. */
export interface Renewal {
  readonly before: Peer;
  readonly after: Peer;
  /** The fields that are the cause. */
  readonly fields: readonly string[];
}

/** Compares the peers that are in both configurations. */
export function renewals(before: readonly Peer[], after: readonly Peer[]): Renewal[] {
  const known = new Map(before.map((peer) => [peer.name, peer]));
  return after.flatMap((peer) => {
    const old = known.get(peer.name);
    const fields = old === undefined ? [] : renewedBy(old, peer);
    return fields.length === 0 ? [] : [{ before: old!, after: peer, fields }];
  });
}

/** True if the new peerASN may refuse a router that the old one accepted. */
function mayRefuse(before: Peer, after: Peer): boolean {
  if (before.peerASN === after.peerASN) return false;
  if (typeof before.peerASN !== 'number') return true;
  const isInternal = before.peerASN === before.myASN;
  return after.peerASN !== (isInternal ? 'internal' : 'external');
}
