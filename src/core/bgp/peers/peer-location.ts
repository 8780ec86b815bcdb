/**
 * Resolves a peer template on one node: to its default gateway, or to the address in an annotation of the Node.
 * @module
 */
import { own } from '../../api/json.ts';
import type { Node } from '../../api/kubernetes.ts';
import type { Peer, PeerTarget } from '../../config/config.ts';
import { parseAddress } from '../../net/address.ts';

/** A default gateway of the node, and the interface that it is on. */
export interface Gateway {
  readonly address: string;
  readonly interface: string;
}

/** The peer with the address of its router, or with the reason why there is none. Peers that are not templates stay the same. */
export function located(peer: Peer, node: Node | undefined, gateways: readonly Gateway[]): Peer {
  const { target } = peer;
  if (target.kind === 'default-gateway') return { ...peer, target: byGateway(target.family, gateways) };
  return target.kind === 'node-annotation' ? { ...peer, target: byAnnotation(target.key, node) } : peer;
}

function byGateway(family: 'ipv4' | 'ipv6', gateways: readonly Gateway[]): PeerTarget {
  for (const { address: text, interface: zone } of gateways) {
    const address = parseAddress(text);
    if (address?.family === family) return { kind: 'address', address, zone };
  }
  return { kind: 'unknown', why: `this node has no default gateway for ${family === 'ipv4' ? 'IPv4' : 'IPv6'}` };
}

function byAnnotation(key: string, node: Node | undefined): PeerTarget {
  const text = own(node?.metadata.annotations, key);
  if (text === undefined)
    return { kind: 'unknown', why: `the Node has no annotation ${key}: set it to the address of the router` };
  const address = parseAddress(text);
  if (address !== undefined) return { kind: 'address', address };
  return {
    kind: 'unknown',
    why: `the annotation ${key} of the Node is ${JSON.stringify(text)}, which is not an IP address`,
  };
}
