/**
 * Which pool the addresses of a Service belong to.
 * @module
 */
import type { Config, Pool } from '../config/config.ts';
import { rangeSetOf } from '../config/pools.ts';
import type { IpAddress } from '../net/address.ts';

/** The pool that contains all of the addresses. */
export function poolOf({ pools }: Config, addresses: readonly IpAddress[]): Pool | undefined {
  return pools.find((pool) => addresses.every((address) => rangeSetOf(pool).containing(address) !== undefined));
}
