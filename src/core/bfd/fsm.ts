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
  /** Between echo packets, where the other side sends them back; undefined: none are sent. */
  readonly echoInterval: Millis | undefined;
  /** Between the echo packets of the other side that this node can send back; 0: it cannot. */
  readonly echoReceiveInterval: Millis;
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
  readonly nextEcho: Millis;
  /** When the last echo that came back will be too long ago. */
  readonly echoDetectAt: Millis;
  /** We have told of new timers, and the other side has not confirmed (RFC 5880 §6.5). */
  readonly polling: boolean;
  /** Counts packets: the jitter needs no randomness besides. */
  readonly sent: number;
}

export type BfdInput =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'received'; readonly packet: BfdPacket }
  /** One of our echo packets has come back. */
  | { readonly kind: 'echoed' };

export type BfdOutput =
  | { readonly kind: 'send'; readonly packet: BfdPacket }
  | { readonly kind: 'send-echo' }
  | { readonly kind: 'bfd-up' }
  /** `administrative`: the other side has turned BFD off, which says nothing of the path (RFC 5882 §3.2). */
  | { readonly kind: 'bfd-down'; readonly diagnostic: number; readonly administrative: boolean };

const NEVER = Number.POSITIVE_INFINITY;
/** While a session is not up, nobody sends more often (RFC 5880 §6.8.3). */
const SLOW = 1000;

const NO_ECHO = { nextEcho: NEVER, echoDetectAt: NEVER };

export function initialBfd(settings: BfdSettings): BfdSessionState {
  const times = { nextTx: NEVER, detectAt: NEVER, ...NO_ECHO };
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
        return {
          next: { ...next, nextTx: NEVER, detectAt: NEVER, ...NO_ECHO },
          outputs: [{ kind: 'send', packet: say(next) }],
        };
      }
      case 'received':
        return onPacket(state, input.packet, now);
      case 'echoed':
        return { next: { ...state, echoDetectAt: echoDetection(state, now) }, outputs: [] };
      case 'tick':
        return onTick(state, now);
    }
  },
  nextDeadline({ nextTx, detectAt, nextEcho, echoDetectAt }): Deadline | undefined {
    const at = (when: Millis, why: string) => (when === NEVER ? undefined : { at: when, why });
    return earliest([
      at(nextTx, 'BFD packet'),
      at(detectAt, 'BFD detection time'),
      at(nextEcho, 'BFD echo'),
      at(echoDetectAt, 'no BFD echo'),
    ]);
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
    requiredMinEchoRx: Math.round(settings.echoReceiveInterval * 1000),
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

/** Undefined: echoes are not wanted, or the other side does not send them back (RFC 5880 §6.8.9). */
function echoPause({ state, settings, remote }: BfdSessionState): Millis | undefined {
  const { echoInterval } = settings;
  if (state !== 'up' || echoInterval === undefined || !remote?.requiredMinEchoRx) return undefined;
  return Math.max(echoInterval, remote.requiredMinEchoRx / 1000);
}

/** Never, while no echo is expected. */
function echoDetection(s: BfdSessionState, now: Millis): Millis {
  const interval = echoPause(s);
  return interval === undefined ? NEVER : now + s.settings.detectMultiplier * interval;
}

/** Echoes begin and end with what both sides want and can. */
function withEcho(s: BfdSessionState, now: Millis): BfdSessionState {
  const isOn = echoPause(s) !== undefined;
  if (!isOn) return s.nextEcho === NEVER ? s : { ...s, ...NO_ECHO };
  // The first one is waited for as long as for any other.
  return s.nextEcho === NEVER ? { ...s, nextEcho: now, echoDetectAt: echoDetection(s, now) } : s;
}

function onTick(s: BfdSessionState, now: Millis): Outcome {
  let next = s;
  const outputs: BfdOutput[] = [];
  if (now >= s.detectAt || now >= s.echoDetectAt) {
    const isSilent = now >= s.detectAt;
    const diagnostic = DIAGNOSTICS[isSilent ? 'detection-time-expired' : 'echo-failed'];
    const wasUp = s.state === 'up';
    next = { ...s, state: 'down', diagnostic, polling: false, ...NO_ECHO };
    // The discriminator of a side that is silent is forgotten (RFC 5880 §6.8.1).
    if (isSilent) next = { ...next, remote: undefined, detectAt: NEVER };
    // The other side is to know at once, where it is to be spoken to.
    if (s.settings.passive && isSilent) next = { ...next, nextTx: NEVER };
    else if (wasUp) next = { ...next, nextTx: now };
    if (wasUp) outputs.push({ kind: 'bfd-down', diagnostic, administrative: false });
  }
  if (now >= next.nextEcho) {
    outputs.push({ kind: 'send-echo' });
    next = { ...next, nextEcho: now + (echoPause(next) ?? NEVER) };
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
  return { next: withEcho({ ...next, nextTx: silent ? NEVER : latest }, now), outputs };
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
