/**
 * Interface indexes, which the kernel takes where people give names.
 * @module
 */
import { readFileSync } from 'node:fs';

/** 0: no such interface. */
export function interfaceIndex(name: string): number {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
  } catch {
    return 0;
  }
}
