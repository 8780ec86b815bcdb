/**
 * The address of a router: for connecting to it, for recognizing its connections, and for TCP-MD5 keys.
 * @module
 */
import type { Peer } from '../../config/config.ts';
import { type IpAddress, isLinkLocal, isSameAddress } from '../../net/address.ts';

/** Where to connect to. */
export interface DialTarget {
  readonly address: IpAddress;
  /** The interface that a link-local address is on. */
  readonly zone: string | undefined;
}

/** `found`: the discovered router of an unnumbered peer. A string says why there is nothing to connect to. */
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
      return 'the address of its router is not known yet';
  }
}

/** True if a connection from this address comes from the peer's router. `zone`: the interface of a link-local address. */
export function isRouterOf({ target }: Pick<Peer, 'target'>, address: IpAddress, zone: string | undefined): boolean {
  if (target.kind === 'interface') return zone === target.name && isLinkLocal(address);
  return target.kind === 'address' && isSameAddress(target.address, address);
}

/** The address to set a TCP-MD5 key for; undefined: the peer has a link-local address or only an interface. */
export function signedAddress({ target }: Pick<Peer, 'target'>): IpAddress | undefined {
  return target.kind === 'address' && !isLinkLocal(target.address) ? target.address : undefined;
}
