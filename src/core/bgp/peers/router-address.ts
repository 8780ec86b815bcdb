/**
 * The address of a router: where to connect to, who it is that connects to us, and what TCP-MD5 keys go by.
 * @module
 */
import type { Peer } from '../../config/config.ts';
import { type IpAddress, isLinkLocal } from '../../net/address.ts';

/** Where the router takes connections. */
export interface DialTarget {
  readonly address: IpAddress;
  /** The interface that a link-local address is on. */
  readonly zone: string | undefined;
}

/** `found`: the router on the interface of an unnumbered peer. In words: why nobody can connect to it. */
export function dialTarget({ target }: Pick<Peer, 'target'>, found: IpAddress | undefined): DialTarget | string {
  switch (target.kind) {
    case 'address':
      return { address: target.address, zone: isLinkLocal(target.address) ? target.zone : undefined };
    case 'interface':
      if (found !== undefined) return { address: found, zone: target.name };
      return `no router has made itself known on ${target.name}: it has to send router advertisements there (RFC 4861)`;
    case 'unknown':
      return target.why;
    default:
      return 'its router is not found yet';
  }
}

/** True when whoever connects to us from this address is the router of the peer. `zone`: the interface of a link-local address. */
export function isRouterOf({ target }: Pick<Peer, 'target'>, address: IpAddress, zone: string | undefined): boolean {
  if (target.kind === 'interface') return zone === target.name && isLinkLocal(address);
  return (
    target.kind === 'address' && target.address.family === address.family && target.address.value === address.value
  );
}

/** The address that the kernel can be given a TCP-MD5 key for; undefined: the router is known by its link only. */
export function signedAddress({ target }: Pick<Peer, 'target'>): IpAddress | undefined {
  return target.kind === 'address' && !isLinkLocal(target.address) ? target.address : undefined;
}
