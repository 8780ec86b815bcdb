/**
 * What a BMP station learns about our sessions (RFC 7854): peers going up and down, and every UPDATE we send (Adj-RIB-Out, RFC 8671).
 * @module
 */
import { addressToBytes, type IpAddress } from '../../net/address.ts';
import { ByteWriter } from '../../net/bytes.ts';

/** The peer in the per-peer header (RFC 7854 §4.2). */
export interface BmpPeer {
  readonly address: IpAddress;
  readonly asn: number;
  /** BGP identifier, an unsigned 32-bit number. */
  readonly identifier: number;
  /** Whether AS numbers in AS_PATH have four bytes. */
  readonly fourOctetAs: boolean;
}

/** Our address and both ports of a session's TCP connection. */
export interface BmpEnds {
  readonly localAddress: IpAddress;
  readonly localPort: number;
  readonly remotePort: number;
}

export type BmpMessage =
  /** Our sysName and sysDescr, in ASCII (RFC 7854 §4.3). */
  | { readonly kind: 'initiation'; readonly name: string; readonly description: string }
  | { readonly kind: 'termination' }
  /** `opens`: complete messages, as sent and received. */
  | {
      readonly kind: 'peer-up';
      readonly peer: BmpPeer;
      readonly ends: BmpEnds;
      readonly opens: { readonly sent: Uint8Array; readonly received: Uint8Array };
    }
  | { readonly kind: 'peer-down'; readonly peer: BmpPeer }
  /** `update`: a complete BGP message. */
  | { readonly kind: 'route-monitoring'; readonly peer: BmpPeer; readonly update: Uint8Array }
  /** How many routes the peer has been sent. */
  | { readonly kind: 'statistics'; readonly peer: BmpPeer; readonly routes: number };

const VERSION = 3;
const TYPES: Readonly<Record<BmpMessage['kind'], number>> = {
  'route-monitoring': 0,
  statistics: 1,
  'peer-down': 2,
  'peer-up': 3,
  initiation: 4,
  termination: 5,
};
/** RFC 7854 §4.2, RFC 8671 §4. */
const IPV6 = 0x80;
const POST_POLICY = 0x40;
const TWO_OCTET_AS = 0x20;
const ADJ_RIB_OUT = 0x10;
/** Information TLVs (RFC 7854 §4.4). */
const SYSTEM_DESCRIPTION = 1;
const SYSTEM_NAME = 2;
/** Reasons (RFC 7854 §4.5, §4.9). */
const ADMINISTRATIVELY_CLOSED = 0;
const LOCAL_WITHOUT_NOTIFICATION = 2;
/** Routes in Adj-RIB-Out, after policy (RFC 8671 §6.2). */
const STATISTIC_ROUTES = 15;

function message(type: BmpMessage['kind'], body: ByteWriter): Uint8Array {
  const bytes = body.finish();
  return new ByteWriter()
    .u8(VERSION)
    .u32(bytes.length + 6)
    .u8(TYPES[type])
    .bytes(bytes)
    .finish();
}

/** `now` in milliseconds since 1970. */
function perPeer({ address, asn, identifier, fourOctetAs }: BmpPeer, now: number): ByteWriter {
  const flags = (address.family === 'ipv6' ? IPV6 : 0) | (fourOctetAs ? 0 : TWO_OCTET_AS) | POST_POLICY | ADJ_RIB_OUT;
  return new ByteWriter()
    .u8(0)
    .u8(flags)
    .u32(0)
    .u32(0)
    .bytes(wide(address))
    .u32(asn)
    .u32(identifier)
    .u32(Math.floor(now / 1000))
    .u32((now % 1000) * 1000);
}

/** 16 bytes; an IPv4 address is right-aligned. */
function wide(address: IpAddress): Uint8Array {
  const bytes = addressToBytes(address);
  return Uint8Array.of(...new Uint8Array(16 - bytes.length), ...bytes);
}

/** Encodes a message; `now` is the time of the event in milliseconds since 1970. */
export function encodeBmp(told: BmpMessage, now: number): Uint8Array {
  switch (told.kind) {
    case 'initiation': {
      const texts: [number, string][] = [
        [SYSTEM_DESCRIPTION, told.description],
        [SYSTEM_NAME, told.name],
      ];
      const body = new ByteWriter();
      for (const [type, text] of texts) {
        const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
        body.u16(type).u16(bytes.length).bytes(bytes);
      }
      return message('initiation', body);
    }
    case 'termination':
      return message('termination', new ByteWriter().u16(1).u16(2).u16(ADMINISTRATIVELY_CLOSED));
    case 'peer-up': {
      const { localAddress, localPort, remotePort } = told.ends;
      const body = perPeer(told.peer, now).bytes(wide(localAddress)).u16(localPort).u16(remotePort);
      return message('peer-up', body.bytes(told.opens.sent).bytes(told.opens.received));
    }
    case 'peer-down':
      return message('peer-down', perPeer(told.peer, now).u8(LOCAL_WITHOUT_NOTIFICATION).u16(0));
    case 'route-monitoring':
      return message('route-monitoring', perPeer(told.peer, now).bytes(told.update));
    case 'statistics': {
      const body = perPeer(told.peer, now).u32(1).u16(STATISTIC_ROUTES).u16(8).u32(0).u32(told.routes);
      return message('statistics', body);
    }
  }
}
