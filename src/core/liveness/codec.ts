/**
 * Liveness messages to bytes and back. Authentication wraps around this: see the wire adapter.
 *
 *   magic "MLBH" | version 4 | kind (1) | sequence (4) | digest (4) | record of the sender | number of news (1) | news …
 *   then by kind: ack: echo (4); ask, pull, page: name; tell: name, silence in ms (4, all ones: never)
 *   record: name | incarnation (8) | version (4) | status (1) | flags (1; 1: unheard) | age in ms (4) | number of links (1) | name, MAC (6) …
 *   name: length (1), ASCII
 * @module
 */
import { ByteReader, ByteWriter } from '../net/bytes.ts';
import type { MessageDecodeError } from './errors.ts';
import { type Content, type FitLink, type Message, type News, STATUSES, type Status } from './messages.ts';

const MAGIC = 0x4d4c4248;
const VERSION = 4;
const KINDS = { ping: 1, ack: 2, ask: 3, tell: 4, news: 5, pull: 6, page: 7 } as const satisfies Record<
  Content['kind'],
  number
>;
const KIND_NAMES = new Map<number, Content['kind']>(invert(KINDS));
const STATUS_NAMES = new Map<number, Status>(invert(STATUSES));
const UNHEARD = 1;
const NEVER = 0xffffffff;
const MAX_AGE = 0xfffffffe;

/** So many news fit into one datagram, by their number and by their bytes: no path has to fragment it (RFC 8200 §5: 1280 bytes). */
export const MAX_NEWS = 24;
const NEWS_BYTES = 900;
/** More links than this are not told. */
export const MAX_LINKS = 16;

export type Decoded =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly error: MessageDecodeError };

/** As many of the first news as fit into one datagram. */
export function fitting(news: readonly News[]): readonly News[] {
  let bytes = 0;
  const end = news.findIndex((item, i) => {
    bytes += sizeOf(item);
    return i >= MAX_NEWS || bytes > NEWS_BYTES;
  });
  return end < 0 ? news : news.slice(0, Math.max(1, end));
}

function sizeOf({ node, links }: News): number {
  return node.length + 20 + links.reduce((sum, link) => sum + link.name.length + 7, 0);
}

/** Node names are DNS subdomains (RFC 1123), hence ASCII of at most 253 characters. Throws RangeError on anything else. */
export function encodeMessage(message: Message): Uint8Array {
  const writer = new ByteWriter().u32(MAGIC).u8(VERSION).u8(KINDS[message.kind]).u32(message.sequence);
  writer.u32(message.digest);
  writeNews(writer, message.from);
  writer.u8(message.news.length);
  for (const news of message.news) writeNews(writer, news);
  switch (message.kind) {
    case 'ack':
      writer.u32(message.echo);
      break;
    case 'ask':
      writeName(writer, message.about);
      break;
    case 'tell':
      writeName(writer, message.about);
      writer.u32(message.silentFor === undefined ? NEVER : milliseconds(message.silentFor));
      break;
    case 'pull':
      writeName(writer, message.after);
      break;
    case 'page':
      writeName(writer, message.last);
  }
  return writer.finish();
}

function milliseconds(value: number): number {
  return Math.min(MAX_AGE, Math.max(0, Math.round(value)));
}

function writeNews(writer: ByteWriter, { node, incarnation, version, status, age, links, unheard }: News): void {
  if (!NAME.test(node)) throw new RangeError(`${JSON.stringify(node)} is no node name`);
  writeName(writer, node);
  writer
    .u64(incarnation)
    .u32(version)
    .u8(STATUSES[status])
    .u8(unheard ? UNHEARD : 0)
    .u32(milliseconds(age));
  const told = links.slice(0, MAX_LINKS);
  writer.u8(told.length);
  for (const { name, mac } of told) {
    writeName(writer, name);
    writer.bytes(mac);
  }
}

function writeName(writer: ByteWriter, name: string): void {
  writer.u8(name.length).bytes(Uint8Array.from(name, (character) => character.charCodeAt(0)));
}

export function decodeMessage(bytes: Uint8Array): Decoded {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== MAGIC) return refuse('not-liveness');
  if (reader.u8() !== VERSION) return refuse('unknown-version');
  const kindCode = reader.u8();
  const sequence = reader.u32();
  const digest = reader.u32();
  const from = readNews(reader);
  if (typeof from === 'string') return refuse(from);
  const news: News[] = [];
  for (let left = reader.u8() ?? 0; left > 0; left--) {
    const item = readNews(reader);
    if (typeof item === 'string') return refuse(item);
    news.push(item);
  }
  if (kindCode === undefined || sequence === undefined || digest === undefined) return refuse('truncated');
  const kind = KIND_NAMES.get(kindCode);
  if (kind === undefined) return refuse('unknown-kind');
  const content = readContent(reader, kind);
  if (typeof content === 'string') return refuse(content);
  if (reader.remaining > 0) return refuse('trailing-bytes');
  return { ok: true, message: { ...content, from, sequence, digest, news } };
}

function readContent(reader: ByteReader, kind: Content['kind']): Content | MessageDecodeError {
  switch (kind) {
    case 'ping':
    case 'news':
      return { kind };
    case 'ack': {
      const echo = reader.u32();
      return echo === undefined ? 'truncated' : { kind, echo };
    }
    case 'ask':
    case 'tell': {
      const about = readName(reader);
      if (about === undefined) return 'truncated';
      if (!NAME.test(about)) return 'bad-name';
      if (kind === 'ask') return { kind, about };
      const silentFor = reader.u32();
      if (silentFor === undefined) return 'truncated';
      return { kind, about, silentFor: silentFor === NEVER ? undefined : silentFor };
    }
    case 'pull':
    case 'page': {
      const name = readName(reader);
      if (name === undefined) return 'truncated';
      if (name !== '' && !NAME.test(name)) return 'bad-name';
      return kind === 'pull' ? { kind, after: name } : { kind, last: name };
    }
  }
}

function readNews(reader: ByteReader): News | MessageDecodeError {
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
  const links: FitLink[] = [];
  for (let i = 0; i < count; i++) {
    const name = readName(reader);
    const mac = reader.bytes(6);
    if (name === undefined || mac === undefined) return 'truncated';
    links.push({ name, mac });
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
