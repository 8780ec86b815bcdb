/**
 * Heartbeats to bytes and back. Authentication wraps around this: see the wire adapter.
 *
 *   magic "MLBH" | version 2 | phase (1) | incarnation (8 bytes) | sequence (4) | length of name (1) | name (ASCII)
 * @module
 */
import { ByteReader, ByteWriter } from '../net/bytes.ts';
import type { HeartbeatDecodeError } from './errors.ts';
import { type Heartbeat, PHASES, type Phase } from './messages.ts';

const MAGIC = 0x4d4c4248;
const VERSION = 2;

export type Decoded =
  | { readonly ok: true; readonly heartbeat: Heartbeat }
  | { readonly ok: false; readonly error: HeartbeatDecodeError };

/** Node names are DNS subdomains (RFC 1123), hence ASCII of at most 253 characters. Throws RangeError on anything else. */
export function encodeHeartbeat({ node, incarnation, sequence, phase }: Heartbeat): Uint8Array {
  const name = Uint8Array.from(node, (character) => character.charCodeAt(0));
  if (!NAME.test(node)) throw new RangeError(`${JSON.stringify(node)} is no node name`);
  return new ByteWriter()
    .u32(MAGIC)
    .u8(VERSION)
    .u8(PHASES[phase])
    .u64(incarnation)
    .u32(sequence)
    .u8(name.length)
    .bytes(name)
    .finish();
}

export function decodeHeartbeat(bytes: Uint8Array): Decoded {
  const reader = new ByteReader(bytes);
  const magic = reader.u32();
  const version = reader.u8();
  if (magic !== MAGIC) return refuse('not-a-heartbeat');
  if (version !== VERSION) return refuse('unknown-version');
  const phaseCode = reader.u8();
  const incarnation = reader.u64();
  const sequence = reader.u32();
  const length = reader.u8();
  const name = length === undefined ? undefined : reader.bytes(length);
  if (phaseCode === undefined || incarnation === undefined || sequence === undefined || name === undefined)
    return refuse('truncated');
  if (reader.remaining > 0) return refuse('trailing-bytes');
  const node = String.fromCharCode(...name);
  if (!NAME.test(node)) return refuse('bad-name');
  const phase = PHASE_NAMES.get(phaseCode);
  return phase === undefined
    ? refuse('unknown-phase')
    : { ok: true, heartbeat: { node, incarnation, sequence, phase } };
}

const PHASE_NAMES = new Map<number, Phase>(Object.entries(PHASES).map(([name, code]) => [code, name as Phase]));

const NAME = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

function refuse(error: HeartbeatDecodeError): Decoded {
  return { ok: false, error };
}
