/**
 * Encodes and decodes BGP messages (RFC 4271 §4).
 * @module
 */
import { ByteReader, ByteWriter } from '../../net/bytes.ts';
import { decodeAttributes, encodeAttributes, type UpdateParts } from './attributes.ts';
import { decodeCapabilities, encodeCapabilities } from './capabilities.ts';
import { type BgpError, bgpError, NOTIFICATION_CODES } from './errors.ts';
import {
  AFI,
  type BgpMessage,
  type CodecOptions,
  familyOf,
  type OpenMessage,
  REFRESH_SUBTYPES,
  type RouteRefreshMessage,
  SAFI_UNICAST,
  type UpdateMessage,
} from './messages.ts';
import { readPrefixes, writePrefixes } from './nlri.ts';

/** Marker, length and type. */
export const HEADER_SIZE = 19;
const MARKER_SIZE = 16;
export const MAX_MESSAGE = 4096;
/** RFC 8654. */
export const MAX_EXTENDED_MESSAGE = 0xffff;
const TYPES = { open: 1, update: 2, notification: 3, keepalive: 4, 'route-refresh': 5 } as const;
/** Optional parameter that holds capabilities (RFC 5492 §4). */
const CAPABILITIES = 2;
/** Marks optional parameters with two-byte lengths (RFC 9072). */
const EXTENDED_PARAMETERS = 255;

export const BEFORE_OPEN: CodecOptions = { fourOctetAs: false, extendedMessage: false };

/** A complete message with its header. Throws RangeError if it is too long, or a value does not fit its field. */
export function encodeMessage(message: BgpMessage, options: CodecOptions): Uint8Array {
  const body = encodeBody(message, options);
  const length = HEADER_SIZE + body.length;
  if (length > maximum(TYPES[message.kind], options)) throw new RangeError(`the message is ${length} bytes long`);
  return new ByteWriter()
    .bytes(new Uint8Array(MARKER_SIZE).fill(0xff))
    .u16(length)
    .u8(TYPES[message.kind])
    .bytes(body)
    .finish();
}

/** By the type on the wire: OPEN and KEEPALIVE are never extended (RFC 8654). */
function maximum(type: number, { extendedMessage }: CodecOptions): number {
  return extendedMessage && type !== TYPES.open && type !== TYPES.keepalive ? MAX_EXTENDED_MESSAGE : MAX_MESSAGE;
}

function encodeBody(message: BgpMessage, options: CodecOptions): Uint8Array {
  const writer = new ByteWriter();
  switch (message.kind) {
    case 'keepalive':
      return writer.finish();
    case 'open': {
      const { version, asn, holdTime, identifier, capabilities } = message;
      const encoded = encodeCapabilities(capabilities);
      writer.u8(version).u16(asn).u16(holdTime).u32(identifier);
      if (encoded.length === 0) return writer.u8(0).finish();
      if (encoded.length <= 253)
        return writer
          .u8(encoded.length + 2)
          .u8(CAPABILITIES)
          .u8(encoded.length)
          .bytes(encoded)
          .finish();
      return writer
        .u8(EXTENDED_PARAMETERS)
        .u8(EXTENDED_PARAMETERS)
        .u16(encoded.length + 3)
        .u8(CAPABILITIES)
        .u16(encoded.length)
        .bytes(encoded)
        .finish();
    }
    case 'notification': {
      const { code, subcode, data } = message;
      return writer
        .u8(typeof code === 'number' ? code : NOTIFICATION_CODES[code])
        .u8(subcode)
        .bytes(data)
        .finish();
    }
    case 'route-refresh':
      return encodeRefresh(writer, message).finish();
    case 'update': {
      const withdrawn = new ByteWriter();
      writePrefixes(withdrawn, message.withdrawn);
      const fields = [withdrawn.finish(), encodeAttributes(message, options)];
      for (const field of fields) writer.u16(field.length).bytes(field);
      writePrefixes(writer, message.announced);
      return writer.finish();
    }
  }
}

function encodeRefresh(writer: ByteWriter, { family, subtype }: RouteRefreshMessage): ByteWriter {
  const { afi, safi } = typeof family === 'string' ? { afi: AFI[family], safi: SAFI_UNICAST } : family;
  return writer
    .u16(afi)
    .u8(typeof subtype === 'number' ? subtype : REFRESH_SUBTYPES[subtype])
    .u8(safi);
}

/** `message`: a complete message. */
export function isUpdate(message: Uint8Array): boolean {
  return message[HEADER_SIZE - 1] === TYPES.update;
}

export type Decoded =
  /** `withdraw`: the routes of this UPDATE are treated as withdrawn (RFC 7606), for this reason. */
  | { readonly ok: true; readonly message: BgpMessage; readonly withdraw?: string }
  | { readonly ok: false; readonly error: BgpError };

/** Length in bytes of the message at the start of a stream; undefined: the header is incomplete. */
export function frameLength(stream: Uint8Array, options: CodecOptions): { length: number } | BgpError | undefined {
  if (stream.length < HEADER_SIZE) return undefined;
  for (let i = 0; i < MARKER_SIZE; i++)
    if (stream[i] !== 0xff) return bgpError('message-header', 1, 'the marker is not all ones');
  const length = (stream[MARKER_SIZE]! << 8) | stream[MARKER_SIZE + 1]!;
  if (length < HEADER_SIZE || length > maximum(stream[HEADER_SIZE - 1]!, options))
    return bgpError('message-header', 2, `a message of ${length} bytes`, stream.slice(MARKER_SIZE, MARKER_SIZE + 2));
  return { length };
}

/** Decodes one complete message, as delimited by frameLength. */
export function decodeMessage(bytes: Uint8Array, options: CodecOptions): Decoded {
  const body = new ByteReader(bytes.subarray(HEADER_SIZE));
  const badLength = (): Decoded =>
    refuse(
      bgpError('message-header', 2, `a message of ${bytes.length} bytes`, bytes.slice(MARKER_SIZE, MARKER_SIZE + 2)),
    );
  switch (bytes[HEADER_SIZE - 1]) {
    case TYPES.open:
      return body.remaining < 10 ? badLength() : decodeOpen(body);
    case TYPES.update:
      return body.remaining < 4 ? badLength() : decodeUpdate(body, options);
    case TYPES.notification: {
      const [code, subcode] = [body.u8(), body.u8()];
      if (code === undefined || subcode === undefined) return badLength();
      return { ok: true, message: { kind: 'notification', code, subcode, data: body.bytes(body.remaining)! } };
    }
    case TYPES.keepalive:
      return body.remaining === 0 ? { ok: true, message: { kind: 'keepalive' } } : badLength();
    case TYPES['route-refresh']:
      return decodeRefresh(body);
    default:
      return refuse(
        bgpError(
          'message-header',
          3,
          `a message of type ${bytes[HEADER_SIZE - 1]}`,
          bytes.slice(HEADER_SIZE - 1, HEADER_SIZE),
        ),
      );
  }
}

function refuse(error: BgpError): Decoded {
  return { ok: false, error };
}

/** `body` has its fixed fields, at least. */
function decodeOpen(body: ByteReader): Decoded {
  const [version, asn, holdTime, identifier] = [body.u8()!, body.u16()!, body.u16()!, body.u32()!];
  const shortLength = body.u8();
  const rest = body.bytes(body.remaining)!;
  // RFC 9072 §2: a length of 255 and a first parameter of type 255 mean that lengths have two bytes.
  const isExtended = shortLength === EXTENDED_PARAMETERS && rest[0] === EXTENDED_PARAMETERS;
  const parameters = new ByteReader(isExtended ? rest.subarray(3) : rest);
  const length = isExtended ? ((rest[1] ?? 0) << 8) | (rest[2] ?? 0) : shortLength;
  if (parameters.remaining !== length) return refuse(bgpError('open', 0, 'the optional parameters are truncated'));
  const capabilities: OpenMessage['capabilities'][number][] = [];
  while (parameters.remaining > 0) {
    const type = parameters.u8()!;
    const size = isExtended ? parameters.u16() : parameters.u8();
    const value = size === undefined ? undefined : parameters.bytes(size);
    if (value === undefined) return refuse(bgpError('open', 0, 'an optional parameter is truncated'));
    if (type !== CAPABILITIES) return refuse(bgpError('open', 4, `optional parameter ${type} is not supported`));
    const found = decodeCapabilities(value);
    if (found === undefined) return refuse(bgpError('open', 0, 'a capability is malformed'));
    capabilities.push(...found);
  }
  return { ok: true, message: { kind: 'open', version, asn, holdTime, identifier, capabilities } };
}

function decodeRefresh(body: ByteReader): Decoded {
  const [afi, subtype, safi] = [body.u16(), body.u8(), body.u8()];
  if (afi === undefined || subtype === undefined || safi === undefined || body.remaining > 0)
    return refuse(bgpError('route-refresh', 1, 'the ROUTE-REFRESH has the wrong length'));
  const family = familyOf(afi, safi) ?? { afi, safi };
  const names = Object.keys(REFRESH_SUBTYPES) as (keyof typeof REFRESH_SUBTYPES)[];
  const name = names.find((candidate) => REFRESH_SUBTYPES[candidate] === subtype);
  return { ok: true, message: { kind: 'route-refresh', family, subtype: name ?? subtype } };
}

function decodeUpdate(body: ByteReader, options: CodecOptions): Decoded {
  const withdrawnBytes = field(body);
  const attributeBytes = field(body);
  if (withdrawnBytes === undefined || attributeBytes === undefined)
    return refuse(bgpError('update', 1, 'a length in the UPDATE does not fit'));
  const withdrawn = readPrefixes(new ByteReader(withdrawnBytes), 'ipv4');
  const announced = readPrefixes(body, 'ipv4');
  if (withdrawn === undefined || announced === undefined)
    return refuse(bgpError('update', 10, 'the UPDATE has a malformed prefix'));
  const decoded = decodeAttributes(attributeBytes, options);
  if (!decoded.ok) return decoded;
  const { parts } = decoded;
  const message: UpdateMessage = { kind: 'update', withdrawn, announced, ...parts };
  const withdraw = decoded.withdraw ?? missing(parts, announced.length > 0);
  return withdraw === undefined ? { ok: true, message } : { ok: true, message, withdraw };
}

/** RFC 7606 §3 d: routes without a mandatory attribute are withdrawn. */
function missing({ attributes, reach }: UpdateParts, hasIpv4: boolean): string | undefined {
  if (!hasIpv4 && (reach === undefined || reach.prefixes.length === 0)) return undefined;
  if (attributes.origin === undefined) return 'ORIGIN is missing';
  if (attributes.asPath === undefined) return 'AS_PATH is missing';
  return hasIpv4 && attributes.nextHop === undefined ? 'NEXT_HOP is missing' : undefined;
}

function field(body: ByteReader): Uint8Array | undefined {
  const length = body.u16();
  return length === undefined ? undefined : body.bytes(length);
}
