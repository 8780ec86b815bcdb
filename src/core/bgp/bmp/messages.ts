/**
 * What a BMP station is told of our sessions (RFC 7854): who is up, and every UPDATE that leaves (Adj-RIB-Out, RFC 8671).
 * @module
 */
import { addressToBytes, type IpAddress } from '../../net/address.ts';
import { ByteWriter } from '../../net/bytes.ts';

/** The peer that a message is about. */
export interface BmpPeer {
  readonly address: IpAddress;
  readonly asn: number;
  /** BGP identifier, an unsigned 32-bit number. */
  readonly identifier: number;
  /** AS numbers in AS_PATH have four bytes. */
  readonly fourOctetAs: boolean;
}

/** Both ends of a session's connection. */
export interface BmpEnds {
  readonly localAddress: IpAddress;
  readonly localPort: number;
  readonly remotePort: number;
}

const VERSION = 3;
const TYPES = { 'route-monitoring': 0, statistics: 1, 'peer-down': 2, 'peer-up': 3, initiation: 4, termination: 5 };
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

function message(type: keyof typeof TYPES, body: Uint8Array): Uint8Array {
  return new ByteWriter()
    .u8(VERSION)
    .u32(body.length + 6)
    .u8(TYPES[type])
    .bytes(body)
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

/** IPv4 addresses stand at the end of their 16 bytes. */
function wide(address: IpAddress): Uint8Array {
  const bytes = addressToBytes(address);
  return Uint8Array.of(...new Uint8Array(16 - bytes.length), ...bytes);
}

/** Whom the station is connected with; ASCII. */
export function bmpInitiation(name: string, description: string): Uint8Array {
  const body = new ByteWriter();
  for (const [type, text] of [
    [SYSTEM_DESCRIPTION, description],
    [SYSTEM_NAME, name],
  ] as const) {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    body.u16(type).u16(bytes.length).bytes(bytes);
  }
  return message('initiation', body.finish());
}

export function bmpTermination(): Uint8Array {
  return message('termination', new ByteWriter().u16(1).u16(2).u16(ADMINISTRATIVELY_CLOSED).finish());
}

/** `opens`: whole messages, as they went over the wire. */
export function bmpPeerUp(
  peer: BmpPeer,
  { localAddress, localPort, remotePort }: BmpEnds,
  opens: { readonly sent: Uint8Array; readonly received: Uint8Array },
  now: number,
): Uint8Array {
  const body = perPeer(peer, now).bytes(wide(localAddress)).u16(localPort).u16(remotePort);
  return message('peer-up', body.bytes(opens.sent).bytes(opens.received).finish());
}

export function bmpPeerDown(peer: BmpPeer, now: number): Uint8Array {
  return message('peer-down', perPeer(peer, now).u8(LOCAL_WITHOUT_NOTIFICATION).u16(0).finish());
}

/** `update`: a whole BGP message. */
export function bmpRoute(peer: BmpPeer, update: Uint8Array, now: number): Uint8Array {
  return message('route-monitoring', perPeer(peer, now).bytes(update).finish());
}

export function bmpStatistics(peer: BmpPeer, routes: number, now: number): Uint8Array {
  return message('statistics', perPeer(peer, now).u32(1).u16(STATISTIC_ROUTES).u16(8).u32(0).u32(routes).finish());
}
