/**
 * What people are told of an address that somebody else claims or announces.
 * @module
 */
import type { Duplicate, Rival } from './state.ts';

/** `node` is ours. */
export function describeDuplicate(node: string, address: string, duplicate: Duplicate): string {
  const { mac, interface: link, claimants, sibling } = duplicate;
  const others = claimants > 1 ? ` and by others (${claimants} or more MAC addresses)` : '';
  const seen = `seen on ${link} of node "${node}"`;
  const effect = 'it answers for the address too, and clients reach one or the other';
  if (sibling === undefined)
    return `${address} is also claimed by the host with the MAC address ${mac}${others}, ${seen}: ${effect}; find that host (the first half of the MAC address names the manufacturer) and remove the address from it, or remove it from the pool`;
  return `${address} is also claimed with the MAC address ${mac} of node "${sibling}"${others}, ${seen}, and the speaker there does not confirm it: ${effect}; remove the address from that node (kube-proxy in IPVS mode needs strictARP), or find the host that forges its MAC address`;
}

/** `node` is ours. */
export function describeRival(node: string, address: string, { node: rival, yielded }: Rival): string {
  const [keeps, silent] = yielded ? [rival, node] : [node, rival];
  return `${address} is taken by the speakers of node "${node}" and of node "${rival}" for their own, because they know different things: "${keeps}" announces it, and "${silent}" is silent until that is over; see that both reach the API server and each other, and compare what their logs say (serviceDecided)`;
}
