/**
 * What a router holds of one neighbor (RFC 4271 §3.2), with what it keeps over restarts of it (RFC 4724).
 * @module
 */
import type { UpdateMessage } from '../src/core/bgp/wire/messages.ts';
import { formatAddress } from '../src/core/net/address.ts';
import { formatPrefix } from '../src/core/net/prefix.ts';

interface Held {
  /** Communities and next hop, as text. */
  readonly communities: string;
  readonly nextHop: string;
  /** From before a restart of the neighbor. */
  isStale: boolean;
}

export class AdjRibIn {
  /** By prefix. */
  readonly routes = new Map<string, Held>();

  update({ withdrawn, announced, attributes }: UpdateMessage): void {
    for (const prefix of withdrawn) this.routes.delete(formatPrefix(prefix));
    const { communities = [], nextHop } = attributes;
    const route = {
      communities: communities.map((pair) => pair.join(':')).join(' '),
      nextHop: nextHop === undefined ? '' : formatAddress(nextHop),
    };
    for (const prefix of announced) this.routes.set(formatPrefix(prefix), { ...route, isStale: false });
    // End-of-RIB: what has not come again is gone.
    if (withdrawn.length === 0 && announced.length === 0) this.dropStale();
  }

  /** The session has ended. */
  lose(isKept: boolean): void {
    if (!isKept) this.routes.clear();
    for (const route of this.routes.values()) route.isStale = true;
  }

  dropStale(): void {
    for (const [prefix, { isStale }] of this.routes) if (isStale) this.routes.delete(prefix);
  }
}
