/**
 * ARP frames to bytes and back.
 * @module
 */
import { addressFromBytes, addressToBytes } from '../net/address.ts';
import { ByteReader, ByteWriter } from '../net/bytes.ts';
import type { ArpDecodeError } from './errors.ts';
import { ARP_OPERATIONS, type ArpFrame, type ArpOperation } from './messages.ts';

/** EtherType of ARP (RFC 826). */
export const ETHERTYPE_ARP = 0x0806;
const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;

export type Decoded =
  | { readonly ok: true; readonly frame: ArpFrame }
  | { readonly ok: false; readonly error: ArpDecodeError };

/** Reads an Ethernet frame. Padding after the packet is accepted; nothing ever throws. */
export function decodeArp(bytes: Uint8Array): Decoded {
  const reader = new ByteReader(bytes);
  const destination = reader.bytes(6);
  const source = reader.bytes(6);
  const etherType = reader.u16();
  const hardware = reader.u16();
  const protocol = reader.u16();
  const hardwareLength = reader.u8();
  const protocolLength = reader.u8();
  const operationCode = reader.u16();
  const senderMac = reader.bytes(6);
  const senderAddress = reader.bytes(4);
  const targetMac = reader.bytes(6);
  const targetAddress = reader.bytes(4);
  if (destination === undefined || source === undefined || senderMac === undefined || senderAddress === undefined)
    return refuse('truncated');
  if (targetMac === undefined || targetAddress === undefined) return refuse('truncated');
  if (etherType !== ETHERTYPE_ARP) return refuse('not-arp');
  if (hardware !== HARDWARE_ETHERNET || protocol !== PROTOCOL_IPV4) return refuse('not-ipv4-over-ethernet');
  if (hardwareLength !== 6 || protocolLength !== 4) return refuse('bad-address-length');
  const operation = OPERATION_NAMES.get(operationCode!);
  if (operation === undefined) return refuse('unknown-operation');
  return {
    ok: true,
    frame: {
      destination,
      source,
      operation,
      senderMac,
      senderAddress: addressFromBytes(senderAddress),
      targetMac,
      targetAddress: addressFromBytes(targetAddress),
    },
  };
}

/** 42 bytes: header and packet, without the padding that the hardware adds. */
export function encodeArp(frame: ArpFrame): Uint8Array {
  return new ByteWriter()
    .bytes(frame.destination)
    .bytes(frame.source)
    .u16(ETHERTYPE_ARP)
    .u16(HARDWARE_ETHERNET)
    .u16(PROTOCOL_IPV4)
    .u8(6)
    .u8(4)
    .u16(ARP_OPERATIONS[frame.operation])
    .bytes(frame.senderMac)
    .bytes(addressToBytes(frame.senderAddress))
    .bytes(frame.targetMac)
    .bytes(addressToBytes(frame.targetAddress))
    .finish();
}

const OPERATION_NAMES = new Map<number, ArpOperation>(
  Object.entries(ARP_OPERATIONS).map(([name, code]) => [code, name as ArpOperation]),
);

function refuse(error: ArpDecodeError): Decoded {
  return { ok: false, error };
}
