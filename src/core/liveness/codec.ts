/**
 * Liveness messages to bytes and back. Authentication wraps around this: see the wire adapter.
 *
 *   magic "MLBH" | version 5 | kind (1) | incarnation of the receiver (8) | sequence (4) | digest (4)
 *   record of the sender | number of updates (1) | updates …
 *   then by kind: ack: echo (4); ping-req, pull, push: name; indirect-ack: name, silence in ms (4, all ones: never)
 *   holder-req: yielded (1), addresses; holder-ack: addresses; addresses: how many (1), text …
 *   record: name | incarnation (8) | version (4) | status (1) | flags (1; 1: unheard) | age in ms (4) | number of links (1) | name, MAC (6) …
 *   name: length (1), ASCII
 * @module
 */
import { formatAddress, parseAddress } from '../net/address.ts';
import { ByteReader, ByteWriter } from '../net/bytes.ts';
import type { MessageDecodeError } from './errors.ts';
import { type Content, type FitLink, type Message, STATUSES, type Status, type Update } from './messages.ts';
import { ABSENT } from './records.ts';

/** What every message begins with. */
export const MAGIC = 0x4d4c4248;
const VERSION = 5;
const KINDS = {
  ping: 1,
  ack: 2,
  'ping-req': 3,
  'indirect-ack': 4,
  gossip: 5,
  pull: 6,
  push: 7,
  'holder-req': 8,
  'holder-ack': 9,
} as const satisfies Record<Content['kind'], number>;
const KIND_NAMES = new Map<number, Content['kind']>(invert(KINDS));
const STATUS_NAMES = new Map<number, Status>(invert(STATUSES));
const UNHEARD = 1;
const NEVER_HEARD = 0xffffffff;
const MAX_AGE = 0xfffffffe;

/** How many updates one datagram carries at most, and how many bytes of them: no path has to fragment it (RFC 8200 §5: 1280 bytes). */
export const MAX_UPDATES = 24;
const UPDATES_BYTES = 900;
/** More links than this are neither sent nor taken. */
export const MAX_LINKS = 16;
/** linux/if.h: IFNAMSIZ less the end. Each character is a byte on the wire. */
const LINK_NAME = /^[^\u0100-\uffff]{1,15}$/;
const MAC_BYTES = 6;
/** What a speaker says about itself. */
const OWN_STATUSES: ReadonlySet<Status> = new Set(['starting', 'active', 'unsteady', 'leaving']);
/** Nor more addresses than this in one question: they take the place of updates. */
export const MAX_ADDRESSES = 20;

export type Decoded =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly error: MessageDecodeError };

/** As many of the first updates as fit into one datagram. */
export function fitting(updates: readonly Update[]): readonly Update[] {
  let bytes = 0;
  const end = updates.findIndex((item, i) => {
    bytes += sizeOf(item);
    return i >= MAX_UPDATES || bytes > UPDATES_BYTES;
  });
  return end < 0 ? updates : updates.slice(0, Math.max(1, end));
}

function sizeOf({ node, links }: Update): number {
  return node.length + 20 + wireLinks(links).reduce((sum, link) => sum + link.name.length + 7, 0);
}

/**
 * Node names are DNS subdomains (RFC 1123), hence ASCII of at most 253 characters. Throws RangeError on anything else, which does not get into
 * the machine: its own names are Kubernetes', those of others come from `decodeMessage`.
 */
export function encodeMessage(message: Message): Uint8Array {
  const writer = new ByteWriter().u32(MAGIC).u8(VERSION).u8(KINDS[message.kind]);
  writer.u64(message.to).u32(message.sequence).u32(message.digest);
  writeUpdate(writer, message.from);
  writer.u8(message.updates.length);
  for (const update of message.updates) writeUpdate(writer, update);
  switch (message.kind) {
    case 'ack':
      writer.u32(message.echo);
      break;
    case 'ping-req':
      writeName(writer, message.about);
      break;
    case 'indirect-ack':
      writeName(writer, message.about);
      writer.u32(message.silentFor === undefined ? NEVER_HEARD : milliseconds(message.silentFor));
      break;
    case 'pull':
      writeName(writer, message.after);
      break;
    case 'push':
      writeName(writer, message.last);
      break;
    case 'holder-req':
      writer.u8(message.yielded ? 1 : 0);
      writeAddresses(writer, message.addresses);
      break;
    case 'holder-ack':
      writeAddresses(writer, message.addresses);
  }
  return writer.finish();
}

function writeAddresses(writer: ByteWriter, addresses: readonly string[]): void {
  const sent = addresses.slice(0, MAX_ADDRESSES);
  writer.u8(sent.length);
  for (const address of sent) writeName(writer, address);
}

function milliseconds(value: number): number {
  return Math.min(MAX_AGE, Math.max(0, Math.round(value)));
}

function writeUpdate(writer: ByteWriter, { node, incarnation, version, status, age, links, unheard }: Update): void {
  if (!NAME.test(node)) throw new RangeError(`${JSON.stringify(node)} is not a node name`);
  writeName(writer, node);
  writer
    .u64(incarnation)
    .u32(version)
    .u8(STATUSES[status])
    .u8(unheard ? UNHEARD : 0)
    .u32(milliseconds(age));
  const sent = wireLinks(links);
  writer.u8(sent.length);
  for (const { name, mac } of sent) {
    writeName(writer, name);
    writer.bytes(mac);
  }
}

/** Those that can be sent. */
export function wireLinks(links: readonly FitLink[]): readonly FitLink[] {
  return links.filter(isWireLink).slice(0, MAX_LINKS);
}

function isWireLink({ name, mac }: FitLink): boolean {
  return LINK_NAME.test(name) && mac.length === MAC_BYTES;
}

function writeName(writer: ByteWriter, name: string): void {
  writer.u8(name.length).bytes(Uint8Array.from(name, (character) => character.charCodeAt(0)));
}

export function decodeMessage(bytes: Uint8Array): Decoded {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== MAGIC) return refuse('not-liveness');
  if (reader.u8() !== VERSION) return refuse('unknown-version');
  const kindCode = reader.u8();
  const to = reader.u64();
  const sequence = reader.u32();
  const digest = reader.u32();
  const from = readUpdate(reader);
  if (typeof from === 'string') return refuse(from);
  if (!OWN_STATUSES.has(from.status)) return refuse('implausible');
  const updates: Update[] = [];
  const count = reader.u8() ?? 0;
  if (count > MAX_UPDATES) return refuse('too-many');
  for (let left = count; left > 0; left--) {
    const item = readUpdate(reader);
    if (typeof item === 'string') return refuse(item);
    updates.push(item);
  }
  if (kindCode === undefined || to === undefined || sequence === undefined || digest === undefined)
    return refuse('truncated');
  const kind = KIND_NAMES.get(kindCode);
  if (kind === undefined) return refuse('unknown-kind');
  const content = readContent(reader, kind);
  if (typeof content === 'string') return refuse(content);
  if (reader.remaining > 0) return refuse('trailing-bytes');
  return { ok: true, message: { ...content, from, to, sequence, digest, updates } };
}

function readContent(reader: ByteReader, kind: Content['kind']): Content | MessageDecodeError {
  switch (kind) {
    case 'ping':
    case 'gossip':
      return { kind };
    case 'ack': {
      const echo = reader.u32();
      return echo === undefined ? 'truncated' : { kind, echo };
    }
    case 'ping-req':
    case 'indirect-ack': {
      const about = readName(reader);
      if (about === undefined) return 'truncated';
      if (!NAME.test(about)) return 'bad-name';
      if (kind === 'ping-req') return { kind, about };
      const silentFor = reader.u32();
      if (silentFor === undefined) return 'truncated';
      return { kind, about, silentFor: silentFor === NEVER_HEARD ? undefined : silentFor };
    }
    case 'pull':
    case 'push': {
      const name = readName(reader);
      if (name === undefined) return 'truncated';
      if (name !== '' && !NAME.test(name)) return 'bad-name';
      return kind === 'pull' ? { kind, after: name } : { kind, last: name };
    }
    case 'holder-req': {
      const yielded = reader.u8();
      const addresses = readAddresses(reader);
      if (typeof addresses === 'string') return addresses;
      return { kind, yielded: yielded === 1, addresses };
    }
    case 'holder-ack': {
      const addresses = readAddresses(reader);
      return typeof addresses === 'string' ? addresses : { kind, addresses };
    }
  }
}

function readAddresses(reader: ByteReader): string[] | MessageDecodeError {
  const addresses: string[] = [];
  const count = reader.u8();
  if (count === undefined) return 'truncated';
  if (count > MAX_ADDRESSES) return 'too-many';
  for (let left = count; left > 0; left--) {
    const text = readName(reader);
    if (text === undefined) return 'truncated';
    const address = parseAddress(text);
    if (address === undefined || formatAddress(address) !== text) return 'bad-address';
    addresses.push(text);
  }
  return addresses;
}

function readUpdate(reader: ByteReader): Update | MessageDecodeError {
  const node = readName(reader);
  const incarnation = reader.u64();
  const version = reader.u32();
  const statusCode = reader.u8();
  const flags = reader.u8();
  const age = reader.u32();
  const count = reader.u8();
  if (node === undefined || incarnation === undefined || version === undefined || statusCode === undefined)
    return 'truncated';
  if (flags === undefined || age === undefined || count === undefined) return 'truncated';
  if (!NAME.test(node)) return 'bad-name';
  const status = STATUS_NAMES.get(statusCode);
  if (status === undefined) return 'unknown-status';
  // Nobody has an incarnation before it was heard of, nor none afterwards.
  if ((status === 'absent') !== (incarnation === ABSENT)) return 'implausible';
  if (count > MAX_LINKS) return 'too-many';
  const links: FitLink[] = [];
  for (let i = 0; i < count; i++) {
    const name = readName(reader);
    const mac = reader.bytes(MAC_BYTES);
    if (name === undefined || mac === undefined) return 'truncated';
    const link = { name, mac };
    if (!isWireLink(link)) return 'bad-link';
    links.push(link);
  }
  return { node, incarnation, version, status, age, links, unheard: (flags & UNHEARD) !== 0 };
}

function readName(reader: ByteReader): string | undefined {
  const length = reader.u8();
  const name = length === undefined ? undefined : reader.bytes(length);
  return name === undefined ? undefined : String.fromCharCode(...name);
}

const NAME = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

function invert<K extends string>(table: Readonly<Record<K, number>>): [number, K][] {
  return (Object.entries(table) as [K, number][]).map(([name, code]) => [code, name]);
}

function refuse(error: MessageDecodeError): Decoded {
  return { ok: false, error };
}
