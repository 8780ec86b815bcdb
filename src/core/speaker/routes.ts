/**
 * The BGP part of the speaker machine: which routes each peer of this node gets, and what is reported about them.
 * @module
 */
import type { Node, Service } from '../api/kubernetes.ts';
import { anySelectorMatches } from '../api/selector.ts';
import { located } from '../bgp/peers/peer-location.ts';
import type { PeerPlan } from '../bgp/peers/wanted.ts';
import type { Peer } from '../config/config.ts';
import type { Candidate } from '../election/election.ts';
import { formatAddress } from '../net/address.ts';
import { equal } from '../net/equal.ts';
import { eventTarget } from '../reasons/reasons.ts';
import { announcesToo, decideBgpFor, describeRoutes, toldPeers } from './bgp-decision.ts';
import { announceable } from './service-facts.ts';
import { type BgpDecided, factsOf, type SpeakerOutput, type SpeakerState, slicesOf } from './state.ts';

/** Decides again about some Services; `isAll`: peers or their addresses may have changed as well. Returns the peers of this node. */
export function decideRoutes(
  state: SpeakerState,
  keys: ReadonlySet<string>,
  isAll: boolean,
  outputs: SpeakerOutput[],
): SpeakerState['peers'] {
  const { settings, config, candidates, cache, advertised } = state;
  const self = candidates.find(({ name }) => name === settings.node);
  const isIdle = config.peers.length === 0 && advertised.size === 0 && !state.peers?.plans.length;
  if (self === undefined || isIdle) return state.peers;
  const [facts, hasLeft] = [factsOf(state), state.drain.kind === 'left'];
  for (const key of keys) {
    const service = cache.get<Service>('services', key);
    const decision = service && decideBgpFor(facts, self, service, slicesOf(state, service), hasLeft);
    advertised.decide(key, decision);
  }
  const peers = config.peers.filter(({ nodeSelectors }) => anySelectorMatches(nodeSelectors, self.labels));
  const names = peers.map(({ name }) => name);
  // A drained node serves the traffic that still arrives, and asks routers to prefer others (RFC 8326).
  const advertisements = [state, ...state.former].flatMap(({ config: each }) => each.bgpAdvertisements);
  if (isAll) advertised.address(names, advertisements, self.drained);
  for (const key of isAll ? new Set([...keys, ...state.toldBgp.keys()]) : keys) tellRoutes(state, key, peers, outputs);
  const told = isAll || state.peers === undefined ? routersOf(state, peers) : state.peers;
  const routes = advertised.takeUpdates();
  // Most changes of Services and endpoints change no route.
  if (told !== state.peers || routes.length > 0) outputs.push({ kind: 'bgp', ...told, routes });
  return told;
}

/** The peers of this node; the previous object if nothing has changed, so that receivers can compare by identity. */
function routersOf(state: SpeakerState, templates: readonly Peer[]): NonNullable<SpeakerState['peers']> {
  const { settings, config, cache, advertised, links } = state;
  const node = cache.get<Node>('nodes', `/${settings.node}`);
  const plans = templates.map((template): PeerPlan => {
    const peer = located(template, node, links.gateways ?? []);
    const bfd = config.bfdProfiles.find(({ name }) => name === peer.bfdProfile);
    return { peer, bfd, audience: advertised.audienceOf(peer.name) };
  });
  const now = { plans, profiles: config.bfdProfiles };
  return state.peers !== undefined && equal(state.peers, now) ? state.peers : now;
}

/** True when no router can learn the Service: all sessions of this node with its peers are down, and no other node announces it. */
function noRouterListens(state: SpeakerState, service: Service, peers: readonly string[]): boolean {
  const isSilent = (peer: string) => state.silent.some((silent) => silent.peer === peer);
  if (peers.length === 0 || !peers.every(isSilent)) return false;
  const isHeard = ({ name, unheard }: Candidate) => name !== state.settings.node && !unheard;
  return !announcesToo(factsOf(state), service, slicesOf(state, service), isHeard);
}

/** Of several nodes whose sessions are down only one reports it. */
function isSpokesman(state: SpeakerState, service: Service): boolean {
  const { node } = state.settings;
  return !announcesToo(factsOf(state), service, slicesOf(state, service), ({ name }) => name < node);
}

function announcedOf(state: SpeakerState, service: Service): string[] {
  return (announceable(factsOf(state), service)?.addresses ?? []).map(formatAddress);
}

function tellRoutes(state: SpeakerState, key: string, peers: readonly Peer[], outputs: SpeakerOutput[]): void {
  const decision = state.advertised.decisionOf(key);
  const service = state.cache.get<Service>('services', key);
  const names = decision === undefined ? [] : toldPeers(decision, peers);
  const prefixes = decision === undefined ? [] : describeRoutes(decision);
  const told: BgpDecided = {
    kind: 'bgp-decided',
    service: key,
    verdict: decision?.verdict,
    prefixes,
    addresses: service === undefined || prefixes.length === 0 ? [] : announcedOf(state, service),
    peers: names,
    unheard: service !== undefined && noRouterListens(state, service, names),
  };
  const before = state.toldBgp.get(key);
  if (JSON.stringify(told) === JSON.stringify(before) || (decision === undefined && before === undefined)) return;
  outputs.push(told);
  if (decision === undefined) state.toldBgp.delete(key);
  else state.toldBgp.set(key, told);
  if (service === undefined || names.length === 0) return;
  const target = eventTarget('v1', 'Service', service);
  const { node } = state.settings;
  if (told.unheard && before?.unheard !== true && isSpokesman(state, service)) {
    const whys = state.silent.filter(({ peer }) => names.includes(peer)).map(({ peer, why }) => `${peer}: ${why}`);
    const message = `no router hears of ${prefixes.join(', ')}: node "${node}" announces it and has no BGP session, nor has any other node that could; ${whys.join('; ')}`;
    outputs.push({ kind: 'emit-event', target, reason: 'announceFailed', message });
  }
  if (told.unheard || (before?.verdict === 'announced' && !before.unheard)) return;
  const message = `announcing from node "${node}" with protocol "bgp"`;
  outputs.push({ kind: 'emit-event', target, reason: 'nodeAssigned', message });
}
