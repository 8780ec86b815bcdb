/**
 * What the kernel lets through to the liveness socket: a flood of anything else costs this process nothing.
 * @module
 */
import { addressToBytes, type IpAddress } from '../../core/net/address.ts';
import {
  accept,
  DROP,
  type Instruction,
  JUMP,
  JUMP_IF_AT_LEAST,
  JUMP_IF_EQUAL,
  LOAD_BYTE,
  LOAD_LENGTH,
  LOAD_WORD,
  NETWORK_HEADER,
  SHIFT_RIGHT,
} from './socket-filter.ts';

/** A filter on a UDP socket sees the packet from its UDP header on. */
const UDP_HEADER = 8;
const WHOLE = accept(0xffff);
/** With more instructions than this the kernel refuses a filter (net.core.optmem_max), so that addresses are left out. */
const MAX_INSTRUCTIONS = 2000;

export interface LivenessFilter {
  /** What datagrams begin with, as numbers of four bytes, and how many bytes they have at least. */
  readonly prefixes: readonly number[];
  readonly leastBytes: number;
  /** Where they come from; none: not known. */
  readonly sources: readonly IpAddress[];
}

export function livenessFilter({ prefixes, leastBytes, sources }: LivenessFilter): readonly Instruction[] {
  const marks: Instruction[] = [
    [LOAD_LENGTH, 0, 0, 0],
    [JUMP_IF_AT_LEAST, 1, 0, UDP_HEADER + leastBytes],
    DROP,
    [LOAD_WORD, 0, 0, UDP_HEADER],
    ...prefixes.map((prefix, i): Instruction => [JUMP_IF_EQUAL, prefixes.length - i, 0, prefix]),
    DROP,
  ];
  const from = sources.length === 0 ? [WHOLE] : sourceFilter(sources);
  return marks.length + from.length > MAX_INSTRUCTIONS ? [...marks, WHOLE] : [...marks, ...from];
}

function sourceFilter(sources: readonly IpAddress[]): readonly Instruction[] {
  const words = sources.map((address) => {
    const bytes = addressToBytes(address);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(i * 4));
  });
  const ipv4 = words.flatMap((word) => (word.length === 1 ? matching(12, word) : []));
  const ipv6 = words.flatMap((word) => (word.length === 4 ? matching(8, word) : []));
  return [
    [LOAD_BYTE, 0, 0, NETWORK_HEADER],
    [SHIFT_RIGHT, 0, 0, 4],
    [JUMP_IF_EQUAL, 1, 0, 4],
    [JUMP, 0, 0, ipv4.length + 1],
    ...ipv4,
    DROP,
    ...ipv6,
    DROP,
  ];
}

/** Accepts when these words stand at that place behind the network header, and goes on behind this otherwise. */
function matching(at: number, words: readonly number[]): readonly Instruction[] {
  const checks = words.flatMap((word, i): Instruction[] => [
    [LOAD_WORD, 0, 0, NETWORK_HEADER + at + i * 4],
    [JUMP_IF_EQUAL, 0, (words.length - i) * 2 - 1, word],
  ]);
  return [...checks, WHOLE];
}
