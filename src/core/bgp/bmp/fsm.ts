/**
 * The connection with a BMP station (RFC 7854) as a machine: connects with back-off, reports the sessions that are up with their routes, follows
 * their changes, and sends the number of routes of each at intervals.
 * @module
 */
import { type Deadline, deadline, isDue, type Machine, type Millis } from '../../machine.ts';
import { isUpdate } from '../wire/codec.ts';
import type { BmpMessage, BmpPeer } from './messages.ts';
import type { ToldSession } from './told-session.ts';

/** Milliseconds between statistics. */
const STATISTICS_INTERVAL: Millis = 60_000;
/** First and longest pause between attempts to connect, in milliseconds; it doubles with every failure. */
const RETRY = { first: 1000, longest: 60_000 };

export type BmpState = BmpConnecting | BmpWaiting | BmpConnected | { readonly kind: 'stopped' };

/** `pause`: how long to wait if this attempt fails. */
interface BmpConnecting {
  readonly kind: 'connecting';
  readonly pause: Millis;
}

interface BmpWaiting {
  readonly kind: 'waiting';
  readonly retryAt: Millis;
  readonly pause: Millis;
}

interface BmpConnected {
  readonly kind: 'connected';
  readonly statisticsAt: Millis;
  /** Peers that were reported as up, as reported, by name of the BGPPeer. */
  readonly told: ReadonlyMap<string, BmpPeer>;
}

export type BmpInput =
  /** The connection with the station is open; these sessions are up. */
  | { readonly kind: 'connected'; readonly node: string; readonly sessions: readonly ToldSession[] }
  /** The connection was closed, or could not be opened. */
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'session-up'; readonly session: ToldSession }
  | { readonly kind: 'session-down'; readonly name: string }
  /** A BGP message was sent. */
  | { readonly kind: 'sent'; readonly name: string; readonly bytes: Uint8Array }
  | { readonly kind: 'stop' };

export type BmpOutput =
  | { readonly kind: 'connect' }
  | { readonly kind: 'tell'; readonly message: BmpMessage }
  /** Send `statistics` with the number of routes that the peer has been sent so far. */
  | { readonly kind: 'count'; readonly name: string; readonly peer: BmpPeer }
  | { readonly kind: 'close' };

/** The first attempt to connect is due at once. */
export function initialBmp(now: Millis): BmpState {
  return { kind: 'waiting', retryAt: now, pause: RETRY.first };
}

export const bmpMachine: Machine<BmpState, BmpInput, BmpOutput> = {
  step(state, input, now) {
    switch (state.kind) {
      case 'waiting':
        if (input.kind !== 'tick' || !isDue(state.retryAt, now)) break;
        return { next: { kind: 'connecting', pause: state.pause }, outputs: [{ kind: 'connect' }] };
      case 'connecting':
        if (input.kind === 'connected') return introduceAll(input, now);
        if (input.kind === 'disconnected') return { next: waiting(state.pause, now), outputs: [] };
        break;
      case 'connected':
        if (input.kind === 'disconnected') return { next: waiting(RETRY.first, now), outputs: [] };
        if (input.kind !== 'stop') return whileConnected(state, input, now);
        return { next: { kind: 'stopped' }, outputs: [tell({ kind: 'termination' }), { kind: 'close' }] };
    }
    if (input.kind !== 'stop' || state.kind === 'stopped') return { next: state, outputs: [] };
    return { next: { kind: 'stopped' }, outputs: [{ kind: 'close' }] };
  },
  nextDeadline(state): Deadline | undefined {
    if (state.kind === 'waiting') return deadline(state.retryAt, 'connect with the BMP station');
    return state.kind === 'connected' ? deadline(state.statisticsAt, 'BMP statistics') : undefined;
  },
};

function waiting(pause: Millis, now: Millis): BmpState {
  return { kind: 'waiting', retryAt: now + pause, pause: Math.min(RETRY.longest, pause * 2) };
}

function introduceAll({ node, sessions }: Extract<BmpInput, { kind: 'connected' }>, now: Millis) {
  const next: BmpConnected = {
    kind: 'connected',
    statisticsAt: now + STATISTICS_INTERVAL,
    told: new Map(sessions.map(({ name, peer }) => [name, peer])),
  };
  const initiation = tell({ kind: 'initiation', name: node, description: 'metallb-ts speaker' });
  return { next, outputs: [initiation, ...sessions.flatMap(introduce)] };
}

function introduce({ peer, ends, opens, updates }: ToldSession): BmpOutput[] {
  return [
    tell({ kind: 'peer-up', peer, ends, opens }),
    ...updates.map((update) => tell({ kind: 'route-monitoring', peer, update })),
  ];
}

function whileConnected(
  state: BmpConnected,
  input: Exclude<Parameters<typeof bmpMachine.step>[1], { kind: 'disconnected' | 'stop' }>,
  now: Millis,
) {
  const { told } = state;
  switch (input.kind) {
    case 'session-up': {
      const { name, peer } = input.session;
      return { next: { ...state, told: new Map([...told, [name, peer]]) }, outputs: introduce(input.session) };
    }
    case 'session-down': {
      const peer = told.get(input.name);
      if (peer === undefined) break;
      const next = { ...state, told: new Map([...told].filter(([name]) => name !== input.name)) };
      return { next, outputs: [tell({ kind: 'peer-down', peer })] };
    }
    case 'sent': {
      const peer = told.get(input.name);
      if (peer === undefined || !isUpdate(input.bytes)) break;
      return { next: state, outputs: [tell({ kind: 'route-monitoring', peer, update: input.bytes })] };
    }
    case 'tick': {
      if (!isDue(state.statisticsAt, now)) break;
      const outputs = [...told].map(([name, peer]): BmpOutput => ({ kind: 'count', name, peer }));
      return { next: { ...state, statisticsAt: now + STATISTICS_INTERVAL }, outputs };
    }
  }
  return { next: state, outputs: [] };
}

function tell(message: BmpMessage): BmpOutput {
  return { kind: 'tell', message };
}
