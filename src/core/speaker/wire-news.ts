/**
 * What happens on the wire to the addresses that this node announces: who else claims them, and what of them is silent. It changes what is
 * said of a Service, never who is elected.
 * @module
 */
import type { Service } from '../api/kubernetes.ts';
import type { Tick } from '../machine.ts';
import { formatMac } from '../net/mac.ts';
import { type EventNote, eventTarget } from '../reasons/reasons.ts';
import { announcedBy, decided } from './layer2.ts';
import { eventsOf } from './layer2-decision.ts';
import type { Duplicate, Rival, SpeakerInput, SpeakerOutput, SpeakerState, WireNews } from './state.ts';
import { describeDuplicate, describeRival } from './wire-texts.ts';

export function isWireNews(input: SpeakerInput | Tick): input is WireNews {
  return 'address' in input;
}

export function takeInWireNews(state: SpeakerState, news: WireNews): { next: SpeakerState; outputs: SpeakerOutput[] } {
  const { next, event } = takeIn(state, news);
  const outputs = [...state.decisions].flatMap(([key, decision]): SpeakerOutput[] => {
    const isOurs = announcedBy(decision).includes(news.address);
    const service = isOurs ? state.cache.get<Service>('services', key) : undefined;
    if (service === undefined) return [];
    const told = decided(next, key, decision);
    const notes = event === undefined ? (news.kind === 'dispute-ended' ? eventsOf(decision) : []) : [event];
    const target = eventTarget('v1', 'Service', service);
    return [told, ...notes.map((note): SpeakerOutput => ({ kind: 'emit-event', target, ...note }))];
  });
  return { next, outputs };
}

function takeIn(state: SpeakerState, news: WireNews): { next: SpeakerState; event?: EventNote } {
  const { node } = state.settings;
  switch (news.kind) {
    case 'conflict': {
      const { kind: _, address, ...seen } = news;
      const duplicate: Duplicate = { ...seen, sibling: nodeWith(state, news.mac) };
      const duplicates = new Map(state.duplicates).set(address, duplicate);
      const event: EventNote = { reason: 'duplicateAddress', message: describeDuplicate(node, address, duplicate) };
      return { next: { ...state, duplicates }, event };
    }
    case 'conflict-ended':
      return { next: { ...state, duplicates: without(state.duplicates, news.address) } };
    case 'disputed': {
      const { kind: _, address, ...rival } = news;
      const rivals = new Map(state.rivals).set(address, rival);
      return {
        next: { ...state, rivals },
        event: { reason: 'addressDisputed', message: describeRival(node, address, rival) },
      };
    }
    case 'dispute-ended':
      return { next: { ...state, rivals: without(state.rivals, news.address) } };
  }
}

function without<T extends Duplicate | Rival>(all: ReadonlyMap<string, T>, address: string): ReadonlyMap<string, T> {
  const others = new Map(all);
  others.delete(address);
  return others;
}

/** The node of ours that has this MAC. */
function nodeWith({ view }: SpeakerState, mac: string): string | undefined {
  return view.nodes.find(({ links }) => links?.some((link) => formatMac(link.mac) === mac))?.node;
}
