/**
 * Compares the routes that a peer should have with those that it has been sent, and packs the difference into as few UPDATEs as possible.
 * @module
 */
import { type IpAddress, isLinkLocal } from '../../net/address.ts';
import { fingerprint } from '../../net/fingerprint.ts';
import type { Prefix } from '../../net/prefix.ts';
import { encodeMessage, HEADER_SIZE, MAX_EXTENDED_MESSAGE, MAX_MESSAGE } from '../wire/codec.ts';
import {
  type AddressFamily,
  AS_TRANS,
  type CodecOptions,
  type PathAttributes,
  type UpdateMessage,
} from '../wire/messages.ts';
import { prefixSize } from '../wire/nlri.ts';
import { fitsMessage, keyOf, markOf, type Route } from './route.ts';
import type { RouteDelta, RouteSet, RouteSnapshot } from './route-update.ts';

/** Well-known community (RFC 8326 §5). */
const GRACEFUL_SHUTDOWN = [0xffff, 0] as const;

/** The parameters of a session that UPDATEs depend on. */
export interface Outbound {
  readonly options: CodecOptions;
  readonly external: boolean;
  /** The AS number in AS_PATH towards eBGP peers. */
  readonly asn: number;
  /** The negotiated address families. */
  readonly families: readonly AddressFamily[];
  /** NEXT_HOPs by family of the route; undefined: routes of that family cannot be sent. */
  readonly nextHops: Readonly<Partial<Record<AddressFamily, readonly IpAddress[]>>>;
}

const DEFAULT_LOCAL_PREF = 100;

/** The routes that the peer has been sent, by keyOf. */
export type Sent = Map<string, Route>;

function canSend({ families, nextHops }: Outbound, route: Route): boolean {
  const { family } = route.prefix;
  return families.includes(family) && nextHops[family] !== undefined && fitsMessage(route);
}

/** A snapshot as encoded for peers with equal session parameters. */
interface WholeTable {
  readonly messages: readonly Uint8Array[];
  readonly sent: Sent;
}
const wholeTables = new WeakMap<RouteSnapshot, Map<string, WholeTable>>();

/** Peers of an audience get the same snapshot object, so that it is encoded only once. */
function wholeTable(snapshot: RouteSnapshot, wanted: RouteSet['routes'], outbound: Outbound): WholeTable {
  const tables = wholeTables.get(snapshot) ?? new Map<string, WholeTable>();
  wholeTables.set(snapshot, tables);
  const key = fingerprint(outbound);
  let table = tables.get(key);
  if (table === undefined) {
    const sent: Sent = new Map();
    table = { messages: difference(sent, wanted, wanted.keys(), outbound), sent };
    tables.set(key, table);
  }
  return table;
}

/** Updates `sent` in place to all wanted routes. Returns the UPDATEs that tell the peer, withdrawals first. */
export function synchronize(sent: Sent, { routes, origin }: RouteSet, outbound: Outbound): readonly Uint8Array[] {
  if (sent.size > 0) return difference(sent, routes, new Set([...sent.keys(), ...routes.keys()]), outbound);
  if (origin === undefined) return difference(sent, routes, routes.keys(), outbound);
  const table = wholeTable(origin, routes, outbound);
  for (const [key, route] of table.sent) sent.set(key, route);
  return table.messages;
}

/** The same if `sent` is up to date except for `delta`: looks at nothing else. */
export function follow(sent: Sent, { routes }: RouteSet, delta: RouteDelta, outbound: Outbound): readonly Uint8Array[] {
  return difference(sent, routes, [...delta.withdrawn, ...delta.changed.map(keyOf)], outbound);
}

function difference(sent: Sent, wanted: RouteSet['routes'], keys: Iterable<string>, outbound: Outbound): Uint8Array[] {
  const groups = new Map<string, Route[]>();
  const gone: Prefix[] = [];
  for (const key of keys) {
    const [route, old] = [wanted.get(key), sent.get(key)];
    if (route === undefined || !canSend(outbound, route)) {
      if (old !== undefined) gone.push(old.prefix);
      sent.delete(key);
      continue;
    }
    const mark = markOf(route);
    if (old !== undefined && markOf(old) === mark) continue;
    sent.set(key, route);
    const group = `${route.prefix.family} ${mark}`;
    const routes = groups.get(group);
    if (routes === undefined) groups.set(group, [route]);
    else routes.push(route);
  }
  return [...withdrawals(gone, outbound), ...[...groups.values()].flatMap((routes) => announcements(routes, outbound))];
}

/** End-of-RIB, an empty UPDATE: all routes of the family have been sent (RFC 4724 §2). */
export function endOfRib(family: AddressFamily, { options }: Pick<Outbound, 'options'>): Uint8Array {
  const nothing: UpdateMessage = { kind: 'update', withdrawn: [], announced: [], attributes: {} };
  return encodeMessage(family === 'ipv4' ? nothing : { ...nothing, unreach: { family, prefixes: [] } }, options);
}

function withdrawals(prefixes: readonly Prefix[], outbound: Outbound): Uint8Array[] {
  const nothing = { kind: 'update', withdrawn: [], announced: [], attributes: {} } as const;
  return (['ipv4', 'ipv6'] as const).flatMap((family) =>
    chunks(
      prefixes.filter((prefix) => prefix.family === family),
      nothing,
      outbound,
      (part) =>
        isClassic(family, outbound)
          ? { ...nothing, withdrawn: part }
          : { ...nothing, unreach: { family, prefixes: part } },
    ),
  );
}

function announcements(routes: readonly Route[], outbound: Outbound): Uint8Array[] {
  const [first] = routes;
  const { family } = first!.prefix;
  const nextHops = outbound.nextHops[family]!;
  const isOld = isClassic(family, outbound);
  const attributes = attributesOf(first!, outbound, isOld ? nextHops[0] : undefined);
  const base = { kind: 'update', withdrawn: [], announced: [], attributes } as const;
  const empty = isOld ? base : { ...base, reach: { family, nextHops, prefixes: [] } };
  return chunks(
    routes.map(({ prefix }) => prefix),
    empty,
    outbound,
    (part) => (isOld ? { ...base, announced: part } : { ...base, reach: { family, nextHops, prefixes: part } }),
  );
}

/** IPv4 with an IPv4 next hop uses the original fields of UPDATE; everything else uses multiprotocol attributes (RFC 4760). */
function isClassic(family: AddressFamily, { nextHops }: Outbound): boolean {
  return family === 'ipv4' && nextHops.ipv4?.[0]?.family !== 'ipv6';
}

function attributesOf(route: Route, { external, asn }: Outbound, nextHop: IpAddress | undefined): PathAttributes {
  const { localPref, largeCommunities, gracefulShutdown = false, prepend = 0, med, bandwidth } = route;
  const communities = gracefulShutdown ? [...route.communities, GRACEFUL_SHUTDOWN] : route.communities;
  return {
    origin: 'igp',
    asPath: external ? [{ type: 'sequence', asns: new Array<number>(1 + prepend).fill(asn) }] : [],
    ...(nextHop !== undefined && { nextHop }),
    ...(med !== undefined && { med }),
    ...(!external && { localPref: gracefulShutdown ? 0 : localPref === 0 ? DEFAULT_LOCAL_PREF : localPref }),
    ...(communities.length > 0 && { communities }),
    ...(bandwidth !== undefined && { extendedCommunities: [linkBandwidth(asn, bandwidth)] }),
    ...(largeCommunities.length > 0 && { largeCommunities }),
  };
}

/** Two-octet AS specific, non-transitive, sub-type 4; bytes per second as a float (draft-ietf-idr-link-bandwidth §3). */
function linkBandwidth(asn: number, bitsPerSecond: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint16(0, 0x4004);
  view.setUint16(2, asn > 0xffff ? AS_TRANS : asn);
  view.setFloat32(4, bitsPerSecond / 8);
  return new Uint8Array(view.buffer);
}

/** `own`: our addresses, that of the connection first. `mayCross`: IPv4 routes may have IPv6 next hops (RFC 8950). */
export function nextHopsFor(own: readonly IpAddress[], mayCross: boolean): Outbound['nextHops'] {
  const [first] = own;
  const isUnnumbered = first !== undefined && isLinkLocal(first);
  const ipv4 = own.find(({ family }) => family === 'ipv4');
  const global = own.find((address) => address.family === 'ipv6' && !isLinkLocal(address));
  // RFC 2545 §3: a global address comes first, then the link-local one.
  const ipv6 = [...(global === undefined ? [] : [global]), ...(isUnnumbered ? [first] : [])];
  const crosses = mayCross && ipv6.length > 0 && (isUnnumbered || ipv4 === undefined);
  const forIpv4 = crosses ? ipv6 : ipv4 === undefined ? [] : [ipv4];
  return { ...(forIpv4.length > 0 && { ipv4: forIpv4 }), ...(ipv6.length > 0 && { ipv6 }) };
}

/** Splits prefixes into as few messages as possible. */
function chunks(
  prefixes: readonly Prefix[],
  empty: UpdateMessage,
  { options }: Outbound,
  make: (part: readonly Prefix[]) => UpdateMessage,
): Uint8Array[] {
  // Eight bytes of reserve: an attribute longer than 255 bytes has a two-byte length, and an empty one may be left out of `empty`.
  const room =
    (options.extendedMessage ? MAX_EXTENDED_MESSAGE : MAX_MESSAGE) - encodeMessage(empty, options).length - 8;
  if (room < HEADER_SIZE) throw new RangeError('the attributes of a route do not fit into a message');
  const messages: Uint8Array[] = [];
  let part: Prefix[] = [];
  let size = 0;
  for (const prefix of prefixes) {
    const more = prefixSize(prefix);
    if (size + more > room) {
      messages.push(encodeMessage(make(part), options));
      part = [];
      size = 0;
    }
    part.push(prefix);
    size += more;
  }
  if (part.length > 0) messages.push(encodeMessage(make(part), options));
  return messages;
}
