/**
 * Encodes and decodes capabilities (RFC 5492).
 * @module
 */
import { ByteReader, ByteWriter } from '../../net/bytes.ts';
import { type AddressFamily, AFI, type Capability, familyOf, SAFI_UNICAST } from './messages.ts';

const CODES = {
  multiprotocol: 1,
  'route-refresh': 2,
  'extended-next-hop': 5,
  'extended-message': 6,
  'graceful-restart': 64,
  'four-octet-as': 65,
  'enhanced-route-refresh': 70,
} as const;

/** Bits of the first two bytes of graceful restart, and of each family's flags. */
const RESTARTING = 0x8000;
const NOTIFICATION = 0x4000;
const RESTART_TIME = 0x0fff;
const FORWARDING = 0x80;

export function encodeCapabilities(capabilities: readonly Capability[]): Uint8Array {
  const writer = new ByteWriter();
  for (const capability of capabilities) {
    const code = capability.kind === 'unknown' ? capability.code : CODES[capability.kind];
    const value = encodeValue(capability);
    writer.u8(code).u8(value.length).bytes(value);
  }
  return writer.finish();
}

function encodeValue(capability: Capability): Uint8Array {
  const writer = new ByteWriter();
  switch (capability.kind) {
    case 'multiprotocol':
      return writer.u16(AFI[capability.family]).u8(0).u8(SAFI_UNICAST).finish();
    case 'four-octet-as':
      return writer.u32(capability.asn).finish();
    case 'extended-next-hop':
      return writer.u16(AFI[capability.family]).u16(SAFI_UNICAST).u16(AFI[capability.nextHop]).finish();
    case 'graceful-restart': {
      const { restarting, notification, restartTime, families } = capability;
      writer.u16((restarting ? RESTARTING : 0) | (notification ? NOTIFICATION : 0) | restartTime);
      for (const { family, forwarding } of families)
        writer
          .u16(AFI[family])
          .u8(SAFI_UNICAST)
          .u8(forwarding ? FORWARDING : 0);
      return writer.finish();
    }
    case 'unknown':
      return capability.value;
    default:
      return writer.finish();
  }
}

/** Whether the peer has the multiprotocol capability for any family, even for one that we do not support. */
export function namesFamilies(capabilities: readonly Capability[]): boolean {
  return capabilities.some(
    (capability) =>
      capability.kind === 'multiprotocol' || (capability.kind === 'unknown' && capability.code === CODES.multiprotocol),
  );
}

/** Undefined if malformed. Families that we do not support are left out, or kept as unknown capabilities. */
export function decodeCapabilities(bytes: Uint8Array): Capability[] | undefined {
  const reader = new ByteReader(bytes);
  const found: Capability[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8()!;
    const length = reader.u8();
    const value = length === undefined ? undefined : reader.bytes(length);
    if (value === undefined) return undefined;
    const decoded = decodeValue(code, value);
    if (decoded === undefined) return undefined;
    found.push(...decoded);
  }
  return found;
}

function decodeValue(code: number, value: Uint8Array): readonly Capability[] | undefined {
  const reader = new ByteReader(value);
  switch (code) {
    case CODES.multiprotocol: {
      const [afi, , safi] = [reader.u16(), reader.u8(), reader.u8()];
      if (value.length !== 4) return undefined;
      const family = familyOf(afi, SAFI_UNICAST);
      return family === undefined || safi !== SAFI_UNICAST
        ? [{ kind: 'unknown', code, value }]
        : [{ kind: 'multiprotocol', family }];
    }
    case CODES['route-refresh']:
      return [{ kind: 'route-refresh' }];
    case CODES['enhanced-route-refresh']:
      return [{ kind: 'enhanced-route-refresh' }];
    case CODES['extended-message']:
      return [{ kind: 'extended-message' }];
    case CODES['four-octet-as']:
      return value.length === 4 ? [{ kind: 'four-octet-as', asn: reader.u32()! }] : undefined;
    case CODES['extended-next-hop']: {
      if (value.length % 6 !== 0) return undefined;
      const found: Capability[] = [];
      while (reader.remaining > 0) {
        const [family, safi, nextHop] = [
          familyOf(reader.u16(), SAFI_UNICAST),
          reader.u16(),
          familyOf(reader.u16(), SAFI_UNICAST),
        ];
        if (family !== undefined && nextHop !== undefined && safi === SAFI_UNICAST)
          found.push({ kind: 'extended-next-hop', family, nextHop });
      }
      return found;
    }
    case CODES['graceful-restart']: {
      const head = reader.u16();
      if (head === undefined || (value.length - 2) % 4 !== 0) return undefined;
      const families: { family: AddressFamily; forwarding: boolean }[] = [];
      while (reader.remaining > 0) {
        const [family, safi, flags] = [familyOf(reader.u16(), SAFI_UNICAST), reader.u8(), reader.u8()!];
        if (family !== undefined && safi === SAFI_UNICAST)
          families.push({ family, forwarding: (flags & FORWARDING) !== 0 });
      }
      const [restarting, notification] = [(head & RESTARTING) !== 0, (head & NOTIFICATION) !== 0];
      return [{ kind: 'graceful-restart', restarting, notification, restartTime: head & RESTART_TIME, families }];
    }
    default:
      return [{ kind: 'unknown', code, value }];
  }
}
