/**
 * Membership of the multicast groups in which Neighbor Solicitations arrive (RFC 4861 §7.2.1). It follows what is owned where, also
 * on interfaces that come later (unlike upstream).
 * @module
 */
import { formatAddress } from '../net/address.ts';
import { covers } from './frames.ts';
import { solicitedNode } from './ndp-codec.ts';
import type { Layer2State, MulticastGroup, Outcome } from './state.ts';

/** The outcome, and the groups if they have changed. */
export function withGroups(before: Layer2State, outcome: Outcome): Outcome {
  // The Worker ticks after every frame: where nothing that is owned and no link has changed, nothing is gathered.
  const { owned, interfaces } = outcome.next;
  if (owned === before.owned && interfaces === before.interfaces) return outcome;
  const groups = groupsOf(outcome.next);
  if (JSON.stringify(groups) === JSON.stringify(groupsOf(before))) return outcome;
  return { next: outcome.next, outputs: [{ kind: 'groups', groups }, ...outcome.outputs] };
}

function groupsOf({ interfaces, owned }: Layer2State): MulticastGroup[] {
  const groups = new Map<string, MulticastGroup>();
  for (const { announcement } of owned.values()) {
    if (announcement.address.family !== 'ipv6') continue;
    const group = formatAddress(solicitedNode(announcement.address));
    for (const link of interfaces.values())
      if (link.ndp && covers(announcement, link))
        groups.set(`${link.index} ${group}`, { interface: link.index, group });
  }
  return [...groups.values()];
}
