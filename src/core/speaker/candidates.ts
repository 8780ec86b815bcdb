/**
 * The nodes as elections see them, and how far this one has gone with its drain.
 * @module
 */
import { annotation } from '../api/annotations.ts';
import type { Node, Pod } from '../api/kubernetes.ts';
import type { Candidate } from '../election/election.ts';
import { MAX_LINKS } from '../liveness/codec.ts';
import type { Member, NodeLiveness } from '../liveness/messages.ts';
import type { Millis } from '../machine.ts';
import { formatAddress, parseAddress } from '../net/address.ts';
import type { Drain, SpeakerSettings, SpeakerState } from './state.ts';

/** Who should be there: the Pods of the speakers, as upstream finds them (docs/behaviour/layer2.md#who-counts-as-alive). */
export function membersOf({ cache }: SpeakerState): Member[] {
  const members = cache.all<Pod>('pods').flatMap((pod): Member[] => {
    const node = pod.spec?.nodeName;
    const address = pod.status?.podIP;
    return node && address && pod.metadata.deletionTimestamp === undefined ? [{ node, address }] : [];
  });
  return members.sort((a, b) => (a.node < b.node ? -1 : 1));
}

export function candidatesOf(state: SpeakerState, members: readonly Member[]): Candidate[] {
  const withSpeaker = new Set(members.map(({ node }) => node));
  const isThere = (node: string) =>
    node === state.settings.node || (!state.dead.has(node) && (!state.settings.liveness || withSpeaker.has(node)));
  const known = new Map(state.view.nodes.map((liveness) => [liveness.node, liveness]));
  return state.cache.all<Node>('nodes').map(({ metadata, spec, status }) => {
    const { name, labels = {}, annotations } = metadata;
    const liveness = known.get(name);
    return {
      name,
      labels,
      speaker: isThere(name) ? (liveness?.state ?? 'alive') : 'dead',
      unheard: liveness?.unheard === true,
      links: linksOf(state, name, liveness),
      drained: isDrained(state.settings, annotations, spec?.unschedulable),
      networkUnavailable:
        status?.conditions?.some(({ type, status: value }) => type === 'NetworkUnavailable' && value === 'True') ??
        false,
    };
  });
}

/** Links that a node can announce on; undefined where that is not known, or there are more than speakers tell each other. */
function linksOf(
  { settings, links }: SpeakerState,
  node: string,
  liveness: NodeLiveness | undefined,
): readonly string[] | undefined {
  const isOurs = settings.liveness && node === settings.node;
  const names = isOurs ? links.fit : liveness?.links?.map(({ name }) => name);
  return names === undefined || names.length >= MAX_LINKS ? undefined : names;
}

function isDrained(
  { drainOnCordon }: SpeakerSettings,
  annotations: Readonly<Record<string, string>> | undefined,
  unschedulable: boolean | undefined,
): boolean {
  const wish = annotations?.[annotation('drain')];
  return (wish !== undefined && wish !== 'false') || (drainOnCordon && unschedulable === true);
}

/**
 * Routers first hear that the node is about to go, and lose its routes later (RFC 8326 §4). `isStart`: a speaker that starts on a drained
 * node has nothing that routers would have to leave, and announces nothing.
 */
export function drainOf({ settings, drain, candidates }: SpeakerState, isStart: boolean, now: Millis): Drain {
  const self = candidates.find(({ name }) => name === settings.node);
  if (self?.drained !== true) return { kind: 'none' };
  if (drain.kind === 'left') return drain;
  const until = drain.kind === 'leaving' ? drain.until : now + (isStart ? 0 : settings.drainWait);
  return now >= until ? { kind: 'left' } : { kind: 'leaving', until };
}

/** The addresses that are some node's own, as canonical texts, with the node. */
export function nodeAddresses({ cache }: SpeakerState): Map<string, string> {
  return new Map(
    cache.all<Node>('nodes').flatMap(({ metadata: { name }, status }) =>
      (status?.addresses ?? []).flatMap(({ address: text }): [string, string][] => {
        const address = parseAddress(text);
        return address === undefined ? [] : [[formatAddress(address), name]];
      }),
    ),
  );
}
