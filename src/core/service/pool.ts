/**
 * Which pool the addresses of a Service belong to.
 * @module
 */
import type { Config, Pool } from '../config/config.ts';
import type { IpAddress } from '../net/address.ts';
import { rangeContains } from '../net/prefix.ts';

/** The pool that contains all of the addresses. */
export function poolOf({ pools }: Config, addresses: readonly IpAddress[]): Pool | undefined {
  return pools.find(({ ranges }) =>
    addresses.every((address) => ranges.some((range) => rangeContains(range, address))),
  );
}
