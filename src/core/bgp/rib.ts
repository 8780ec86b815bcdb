/**
 * What a peer should hold, what it has been sent, and the fewest UPDATEs that make the one the other.
 * @module
 */
import { type IpAddress, isLinkLocal } from '../net/address.ts';
import { fingerprint as textOf } from '../net/fingerprint.ts';
import { formatPrefix, type Prefix } from '../net/prefix.ts';
import { encodeMessage, HEADER_SIZE, MAX_EXTENDED_MESSAGE, MAX_MESSAGE } from './codec.ts';
import {
  type AddressFamily,
  AS_TRANS,
  type CodecOptions,
  type PathAttributes,
  type UpdateMessage,
} from './messages.ts';
import { prefixSize } from './nlri.ts';

/** A route as the configuration wants it; the session adds path and next hop. */
export interface Route {
  readonly prefix: Prefix;
  /** Towards iBGP peers; 0: not set (behaviour reference §5.3), which is 100 (RFC 4271 leaves it open, all routers agree). */
  readonly localPref: number;
  readonly communities: readonly (readonly [number, number])[];
  readonly largeCommunities: readonly (readonly [number, number, number])[];
  /** This node is about to go: routers are to prefer any other way (RFC 8326). */
  readonly gracefulShutdown?: boolean;
  /** How many times more our AS number stands in AS_PATH towards eBGP peers, so that the way looks longer. */
  readonly prepend?: number;
  /** MULTI_EXIT_DISC; undefined: none. */
  readonly med?: number;
  /** What can serve here, in bits per second: routers may weight their ways by it (draft-ietf-idr-link-bandwidth). */
  readonly bandwidth?: number;
}

/** Well-known community (RFC 8326 §5). */
const GRACEFUL_SHUTDOWN = [0xffff, 0] as const;

/** The same route of a node that is about to go. */
export function goingAway(route: Route): Route {
  return { ...route, gracefulShutdown: true };
}

/** Everything about a session that routes depend on. */
export interface Outbound {
  readonly options: CodecOptions;
  readonly external: boolean;
  /** What AS_PATH says towards eBGP peers. */
  readonly asn: number;
  /** Families that were agreed on. */
  readonly families: readonly AddressFamily[];
  /** Our address on the way to the peer, by family of the route; undefined: routes of that family cannot be sent. */
  readonly nextHops: Readonly<Partial<Record<AddressFamily, readonly IpAddress[]>>>;
}

const DEFAULT_LOCAL_PREF = 100;

/** By prefix; the text is a fingerprint of the attributes. */
export type Sent = Map<string, { readonly route: Route; readonly fingerprint: string }>;

/** Routes live long and are looked at with every change: what is asked of each time is kept. */
const keys = new WeakMap<Prefix, string>();
const fingerprints = new WeakMap<Route, string>();

/** What routes are told apart by. */
export function keyOf({ prefix }: Route): string {
  let key = keys.get(prefix);
  if (key === undefined) {
    key = formatPrefix(prefix);
    keys.set(prefix, key);
  }
  return key;
}

function fingerprint(route: Route): string {
  let text = fingerprints.get(route);
  if (text === undefined) {
    const { prefix: _, ...attributes } = route;
    text = JSON.stringify(attributes);
    fingerprints.set(route, text);
  }
  return text;
}

function canSend({ families, nextHops }: Outbound, { prefix: { family } }: Route): boolean {
  return families.includes(family) && nextHops[family] !== undefined;
}

/** Everything that one list of routes comes to for peers that are alike, as long as the list lives. */
interface WholeTable {
  readonly messages: readonly Uint8Array[];
  readonly sent: Sent;
}
const wholeTables = new WeakMap<readonly Route[], Map<string, WholeTable>>();

/** Peers of a group are given the same list: the first one pays for the encoding. */
function wholeTable(wanted: readonly Route[], outbound: Outbound): WholeTable {
  const tables = wholeTables.get(wanted) ?? new Map<string, WholeTable>();
  wholeTables.set(wanted, tables);
  const key = textOf(outbound);
  let table = tables.get(key);
  if (table === undefined) {
    const sent: Sent = new Map();
    table = { messages: difference(sent, wanted, outbound), sent };
    tables.set(key, table);
  }
  return table;
}

/** Brings `sent` up to what is wanted, in place, and gives the messages that tell the peer: withdrawals first. */
export function synchronize(sent: Sent, wanted: readonly Route[], outbound: Outbound): readonly Uint8Array[] {
  if (sent.size > 0) return difference(sent, wanted, outbound);
  const table = wholeTable(wanted, outbound);
  for (const [key, entry] of table.sent) sent.set(key, entry);
  return table.messages;
}

function difference(sent: Sent, wanted: readonly Route[], outbound: Outbound): Uint8Array[] {
  const groups = new Map<string, Route[]>();
  const keep = new Set<string>();
  for (const route of wanted) {
    if (!canSend(outbound, route)) continue;
    const key = keyOf(route);
    keep.add(key);
    const old = sent.get(key);
    if (old?.route === route) continue;
    const mark = fingerprint(route);
    if (old?.fingerprint === mark) continue;
    sent.set(key, { route, fingerprint: mark });
    const group = `${route.prefix.family} ${mark}`;
    const routes = groups.get(group);
    if (routes === undefined) groups.set(group, [route]);
    else routes.push(route);
  }
  const gone: Prefix[] = [];
  for (const [key, { route }] of sent) {
    if (keep.has(key)) continue;
    gone.push(route.prefix);
    sent.delete(key);
  }
  return [...withdrawals(gone, outbound), ...[...groups.values()].flatMap((routes) => announcements(routes, outbound))];
}

/** An UPDATE without anything: all routes of the family have been sent (RFC 4724 §2). */
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

/** IPv4 with an IPv4 next hop travels in the fields that BGP always had; everything else in multiprotocol attributes. */
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

/** Our addresses on the way to the peer; `own` begins with that of the connection. `mayCross`: IPv4 routes by IPv6 (RFC 8950). */
export function nextHopsFor(own: readonly IpAddress[], mayCross: boolean): Outbound['nextHops'] {
  const [first] = own;
  const isUnnumbered = first !== undefined && isLinkLocal(first);
  const ipv4 = own.find(({ family }) => family === 'ipv4');
  const global = own.find((address) => address.family === 'ipv6' && !isLinkLocal(address));
  // RFC 2545 §3: the link-local address comes second, where there is a global one.
  const ipv6 = [...(global === undefined ? [] : [global]), ...(isUnnumbered ? [first] : [])];
  const crosses = mayCross && ipv6.length > 0 && (isUnnumbered || ipv4 === undefined);
  const forIpv4 = crosses ? ipv6 : ipv4 === undefined ? [] : [ipv4];
  return { ...(forIpv4.length > 0 && { ipv4: forIpv4 }), ...(ipv6.length > 0 && { ipv6 }) };
}

/** As many prefixes in each message as it has room for. */
function chunks(
  prefixes: readonly Prefix[],
  empty: UpdateMessage,
  { options }: Outbound,
  make: (part: readonly Prefix[]) => UpdateMessage,
): Uint8Array[] {
  // A multiprotocol attribute that grows beyond 255 bytes has a length of two bytes, and an empty one may be missing altogether.
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
