/**
 * The BGPPeers that a node has, where one process answers for all nodes.
 * @module
 */
import type { KubernetesObject } from '../api/kubernetes.ts';
import { anySelectorMatches, type Labels } from '../api/selector.ts';
import type { Peer } from '../config/config.ts';
import { resolveConfig } from '../config/resolve.ts';

/** The peers in force on a node with the labels. */
export type RoutersOf = (node: Labels) => readonly Peer[];

interface PeerObjects {
  readonly bgppeers?: readonly KubernetesObject[];
  readonly bfdprofiles?: readonly KubernetesObject[];
}

/** `valid` are the peers that could be in force in the whole cluster: of two that meet on a node one is set aside there. */
export function routersByNode({ bgppeers = [], bfdprofiles = [] }: PeerObjects, valid: readonly Peer[]): RoutersOf {
  /** By the names of the peers that select the node: thousands of nodes are few kinds of nodes. */
  const known = new Map<string, readonly Peer[]>();
  return (node: Labels): readonly Peer[] => {
    const selected = valid.filter(({ nodeSelectors }) => anySelectorMatches(nodeSelectors, node));
    const key = JSON.stringify(selected.map(({ name }) => name));
    const settled = known.get(key) ?? settle(selected, node);
    known.set(key, settled);
    return settled;
  };

  function settle(selected: readonly Peer[], node: Labels): readonly Peer[] {
    const inForce = new Set(resolveConfig({ bgppeers, bfdprofiles }, undefined, { node }).config.peers.map(nameOf));
    return selected.filter((peer) => inForce.has(peer.name));
  }
}

function nameOf({ name }: Peer): string {
  return name;
}
