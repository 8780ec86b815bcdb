/**
 * Encodes and decodes BFD control packets (RFC 5880 §4.1), without authentication.
 * @module
 */
import { ByteReader, ByteWriter } from '../net/bytes.ts';
import type { BfdDecodeError } from './errors.ts';
import { BFD_STATES, type BfdPacket, type BfdState } from './messages.ts';

const VERSION = 1;
const SIZE = 24;
const POLL = 0x20;
const FINAL = 0x10;
const INDEPENDENT = 0x08;
const AUTHENTICATED = 0x04;
const DEMAND = 0x02;
const MULTIPOINT = 0x01;
const STATE_NAMES = Object.keys(BFD_STATES) as BfdState[];

export function encodeBfd(packet: BfdPacket): Uint8Array {
  const flags =
    (packet.poll ? POLL : 0) |
    (packet.final ? FINAL : 0) |
    (packet.controlPlaneIndependent ? INDEPENDENT : 0) |
    (packet.demand ? DEMAND : 0);
  return new ByteWriter()
    .u8((VERSION << 5) | packet.diagnostic)
    .u8((BFD_STATES[packet.state] << 6) | flags)
    .u8(packet.detectMultiplier)
    .u8(SIZE)
    .u32(packet.myDiscriminator)
    .u32(packet.yourDiscriminator)
    .u32(packet.desiredMinTx)
    .u32(packet.requiredMinRx)
    .u32(packet.requiredMinEchoRx)
    .finish();
}

export type Decoded =
  | { readonly ok: true; readonly packet: BfdPacket }
  | { readonly ok: false; readonly error: BfdDecodeError };

/** Checks in the order of RFC 5880 §6.8.6. */
export function decodeBfd(bytes: Uint8Array): Decoded {
  if (bytes.length < SIZE) return refuse('bad-length');
  const reader = new ByteReader(bytes);
  const [first, second, detectMultiplier, length] = [reader.u8()!, reader.u8()!, reader.u8()!, reader.u8()!];
  const [myDiscriminator, yourDiscriminator] = [reader.u32()!, reader.u32()!];
  const [desiredMinTx, requiredMinRx, requiredMinEchoRx] = [reader.u32()!, reader.u32()!, reader.u32()!];
  const state = STATE_NAMES[second >> 6]!;
  if (first >> 5 !== VERSION) return refuse('bad-version');
  if (length < SIZE || length > bytes.length) return refuse('bad-length');
  if (detectMultiplier === 0) return refuse('zero-multiplier');
  if ((second & MULTIPOINT) !== 0) return refuse('multipoint');
  if (myDiscriminator === 0) return refuse('zero-discriminator');
  if (yourDiscriminator === 0 && state !== 'down' && state !== 'admin-down') return refuse('missing-discriminator');
  if ((second & AUTHENTICATED) !== 0) return refuse('authenticated');
  const packet: BfdPacket = {
    diagnostic: first & 0x1f,
    state,
    poll: (second & POLL) !== 0,
    final: (second & FINAL) !== 0,
    controlPlaneIndependent: (second & INDEPENDENT) !== 0,
    demand: (second & DEMAND) !== 0,
    detectMultiplier,
    myDiscriminator,
    yourDiscriminator,
    desiredMinTx,
    requiredMinRx,
    requiredMinEchoRx,
  };
  return { ok: true, packet };
}

function refuse(error: BfdDecodeError): Decoded {
  return { ok: false, error };
}
