/**
 * One BFD session as a machine (RFC 5880 §6.8): asynchronous mode, active or passive.
 * @module
 */
import { type Deadline, earliest, type Machine, type Millis } from '../machine.ts';
import { type BfdPacket, type BfdState, DIAGNOSTICS } from './messages.ts';

/** Times in milliseconds. */
export interface BfdSettings {
  /** Our discriminator, unique on this node and not 0. */
  readonly discriminator: number;
  readonly transmitInterval: Millis;
  readonly receiveInterval: Millis;
  readonly detectMultiplier: number;
  /** Says nothing before the other side has spoken (RFC 5880 §6.1). */
  readonly passive: boolean;
}

/** Upstream's, which are FRR's. */
export const BFD_DEFAULTS = { transmitInterval: 300, receiveInterval: 300, detectMultiplier: 3 } as const;

export interface BfdSessionState {
  readonly settings: BfdSettings;
  readonly state: BfdState;
  readonly diagnostic: number;
  /** What the other side said last; undefined: nothing yet, or not for long. */
  readonly remote: BfdPacket | undefined;
  readonly nextTx: Millis;
  readonly detectAt: Millis;
  /** We have told of new timers, and the other side has not confirmed (RFC 5880 §6.5). */
  readonly polling: boolean;
  /** Counts packets: the jitter needs no randomness besides. */
  readonly sent: number;
}

export type BfdInput =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'received'; readonly packet: BfdPacket };

export type BfdOutput =
  | { readonly kind: 'send'; readonly packet: BfdPacket }
  | { readonly kind: 'bfd-up' }
  /** `administrative`: the other side has turned BFD off, which says nothing of the path (RFC 5882 §3.2). */
  | { readonly kind: 'bfd-down'; readonly diagnostic: number; readonly administrative: boolean };

const NEVER = Number.POSITIVE_INFINITY;
/** While a session is not up, nobody sends more often (RFC 5880 §6.8.3). */
const SLOW = 1000;

export function initialBfd(settings: BfdSettings): BfdSessionState {
  const times = { nextTx: NEVER, detectAt: NEVER };
  return { settings, state: 'down', diagnostic: 0, remote: undefined, ...times, polling: false, sent: 0 };
}

type Outcome = { readonly next: BfdSessionState; readonly outputs: readonly BfdOutput[] };

export const bfdMachine: Machine<BfdSessionState, BfdInput, BfdOutput> = {
  step(state, input, now) {
    switch (input.kind) {
      case 'start':
        return { next: { ...state, nextTx: state.settings.passive ? NEVER : now }, outputs: [] };
      case 'stop': {
        const next = { ...state, state: 'admin-down', diagnostic: DIAGNOSTICS['administratively-down'] } as const;
        return { next: { ...next, nextTx: NEVER, detectAt: NEVER }, outputs: [{ kind: 'send', packet: say(next) }] };
      }
      case 'received':
        return onPacket(state, input.packet, now);
      case 'tick':
        return onTick(state, now);
    }
  },
  nextDeadline({ nextTx, detectAt }): Deadline | undefined {
    const at = (when: Millis, why: string) => (when === NEVER ? undefined : { at: when, why });
    return earliest([at(nextTx, 'BFD packet'), at(detectAt, 'BFD detection time')]);
  },
};

/** Microseconds on the wire. */
function say(s: BfdSessionState, answer: { final: boolean } = { final: false }): BfdPacket {
  const { settings, remote } = s;
  return {
    diagnostic: s.diagnostic,
    state: s.state,
    poll: s.polling && !answer.final,
    final: answer.final,
    controlPlaneIndependent: false,
    demand: false,
    detectMultiplier: settings.detectMultiplier,
    myDiscriminator: settings.discriminator,
    yourDiscriminator: remote?.myDiscriminator ?? 0,
    desiredMinTx: Math.round(desiredTx(s) * 1000),
    requiredMinRx: Math.round(settings.receiveInterval * 1000),
    requiredMinEchoRx: 0,
  };
}

function desiredTx({ state, settings }: BfdSessionState): Millis {
  return state === 'up' ? settings.transmitInterval : Math.max(SLOW, settings.transmitInterval);
}

/** RFC 5880 §6.8.7: what both can bear, shortened by up to a quarter; by a tenth at least when one miss is enough. */
function pause(s: BfdSessionState): Millis {
  const interval = Math.max(desiredTx(s), (s.remote?.requiredMinRx ?? 0) / 1000);
  const share = ((s.sent * 7919 + s.settings.discriminator) % 251) / 251;
  return s.settings.detectMultiplier === 1 ? interval * (0.75 + 0.15 * share) : interval * (0.75 + 0.25 * share);
}

/** RFC 5880 §6.8.4. */
function detectionTime({ settings, remote }: BfdSessionState): Millis {
  if (remote === undefined) return NEVER;
  return remote.detectMultiplier * Math.max(settings.receiveInterval, remote.desiredMinTx / 1000);
}

function onTick(s: BfdSessionState, now: Millis): Outcome {
  let next = s;
  const outputs: BfdOutput[] = [];
  if (now >= s.detectAt) {
    const diagnostic = DIAGNOSTICS['detection-time-expired'];
    const wasUp = s.state === 'up';
    // The discriminator of a side that is silent is forgotten (RFC 5880 §6.8.1).
    next = { ...s, state: 'down', diagnostic, remote: undefined, detectAt: NEVER, polling: false };
    if (s.settings.passive) next = { ...next, nextTx: NEVER };
    if (wasUp) outputs.push({ kind: 'bfd-down', diagnostic, administrative: false });
  }
  if (now < next.nextTx) return { next, outputs };
  outputs.push({ kind: 'send', packet: say(next) });
  const sent = { ...next, sent: next.sent + 1 };
  const later = next.remote?.requiredMinRx === 0 ? NEVER : now + pause(sent);
  return { next: { ...sent, nextTx: later }, outputs };
}

function onPacket(s: BfdSessionState, packet: BfdPacket, now: Millis): Outcome {
  if (s.state === 'admin-down') return { next: s, outputs: [] };
  const outputs: BfdOutput[] = [];
  const before = s.state;
  const { state, diagnostic } = transition(s, packet);
  let next: BfdSessionState = { ...s, remote: packet, state, diagnostic };
  if (packet.final) next = { ...next, polling: false };
  // Timers become quick with the session, which the other side has to confirm.
  if (before !== 'up' && state === 'up') next = { ...next, polling: true };
  next = { ...next, detectAt: now + detectionTime(next) };
  if (packet.poll) outputs.push({ kind: 'send', packet: say(next, { final: true }) });
  if (before !== state) {
    if (state === 'up') outputs.push({ kind: 'bfd-up' });
    if (before === 'up') outputs.push({ kind: 'bfd-down', diagnostic, administrative: packet.state === 'admin-down' });
  }
  // News goes out at once; and what is due is never later than the pause that holds now.
  const latest = before !== state || s.nextTx === NEVER ? now : Math.min(s.nextTx, now + pause(next));
  const silent = packet.requiredMinRx === 0 && before === state;
  return { next: { ...next, nextTx: silent ? NEVER : latest }, outputs };
}

/** The table of RFC 5880 §6.8.6. */
function transition(s: BfdSessionState, packet: BfdPacket): Pick<BfdSessionState, 'state' | 'diagnostic'> {
  const same = { state: s.state, diagnostic: s.diagnostic };
  const signaled = { state: 'down', diagnostic: DIAGNOSTICS['neighbor-signaled-down'] } as const;
  if (packet.state === 'admin-down') return s.state === 'down' ? same : signaled;
  if (s.state === 'down') {
    if (packet.state === 'down') return { state: 'init', diagnostic: DIAGNOSTICS.none };
    return packet.state === 'init' ? { state: 'up', diagnostic: DIAGNOSTICS.none } : same;
  }
  if (s.state === 'init')
    return packet.state === 'init' || packet.state === 'up' ? { state: 'up', diagnostic: DIAGNOSTICS.none } : same;
  return packet.state === 'down' ? signaled : same;
}
