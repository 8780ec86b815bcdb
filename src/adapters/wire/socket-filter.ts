/**
 * Classic BPF programs, by which a socket drops unwanted packets before they wake anyone.
 * @module
 */
import { addressOf, SO_ATTACH_FILTER, SOL_SOCKET, setsockopt } from './syscalls.ts';

export type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

/** Loads from the packet, at the operand. */
export const LOAD_WORD = 0x20;
export const LOAD_HALF_WORD = 0x28;
export const LOAD_BYTE = 0x30;
/** Loads from the packet, at X plus the operand. */
export const LOAD_BYTE_INDEXED = 0x50;
export const LOAD_HALF_WORD_INDEXED = 0x48;
/** Sets X to four times the low nibble of a byte: the length of an IPv4 header. */
export const LOAD_X_HEADER_LENGTH = 0xb1;
/** Loads the length of the packet. */
export const LOAD_LENGTH = 0x80;
export const SHIFT_RIGHT = 0x74;
/** Goes on so many instructions further, at the operand. */
export const JUMP = 0x05;
export const JUMP_IF_EQUAL = 0x15;
export const JUMP_IF_AT_LEAST = 0x35;
/** Offset of the network header in a filter (linux/filter.h, SKF_NET_OFF). */
export const NETWORK_HEADER = 0xfff00000;
const RETURN = 0x06;
export const accept = (bytes: number): Instruction => [RETURN, 0, 0, bytes];
export const DROP: Instruction = [RETURN, 0, 0, 0];

/** Throws SystemCallError. */
export function attachFilter(fd: number, filter: readonly Instruction[]): void {
  const program = new Uint8Array(filter.length * 8);
  const view = new DataView(program.buffer);
  for (const [i, [code, yes, no, operand]] of filter.entries()) {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, yes);
    view.setUint8(i * 8 + 3, no);
    view.setUint32(i * 8 + 4, operand, true);
  }
  // struct sock_fprog: length, padding, pointer.
  const header = new Uint8Array(16);
  const headerView = new DataView(header.buffer);
  headerView.setUint16(0, filter.length, true);
  headerView.setBigUint64(8, addressOf(program), true);
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, header);
}
