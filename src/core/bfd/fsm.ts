/**
 * One BFD session as a machine (RFC 5880 §6.8): asynchronous mode, active or passive.
 * @module
 */
import { type Deadline, deadline, earliest, earliestTime, isDue, type Machine, type Millis } from '../machine.ts';
import { type BfdPacket, type BfdState, DIAGNOSTICS } from './messages.ts';

/** Times in milliseconds. */
export interface BfdSettings {
  /** Our discriminator, unique on this node and not 0. */
  readonly discriminator: number;
  readonly transmitInterval: Millis;
  readonly receiveInterval: Millis;
  readonly detectMultiplier: number;
  /** Sends nothing before it has received a packet (RFC 5880 §6.1). */
  readonly passive: boolean;
  /** Between our echo packets, if the remote system returns them; undefined: none are sent. */
  readonly echoInterval: Millis | undefined;
  /** Between echo packets of the remote system, at least: Required Min Echo RX Interval; 0: this node does not return them. */
  readonly echoReceiveInterval: Millis;
}

/** Upstream's, which are FRR's. */
export const BFD_DEFAULTS = { transmitInterval: 300, receiveInterval: 300, detectMultiplier: 3 } as const;

interface EchoState {
  readonly sendAt: Millis;
  /** When the detection time of the echo function expires. */
  readonly detectAt: Millis;
}

export interface BfdSessionState {
  readonly settings: BfdSettings;
  readonly state: BfdState;
  readonly diagnostic: number;
  /** The last packet received; undefined: none yet, or the detection time has expired since. */
  readonly remote: BfdPacket | undefined;
  /** When to send the next packet; undefined: the remote system has to send first, or wants none. */
  readonly sendAt: Millis | undefined;
  /** When the detection time expires; undefined: nothing received yet. */
  readonly detectAt: Millis | undefined;
  /** Undefined: no echo packets are sent. */
  readonly echo: EchoState | undefined;
  /** A Poll Sequence is in progress: the remote system has not confirmed our new timers (RFC 5880 §6.5). */
  readonly polling: boolean;
  /** Number of packets sent, from which the jitter is derived. */
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
  /** `administrative`: the remote system has turned BFD off, which says nothing about the path (RFC 5882 §3.2). */
  | { readonly kind: 'bfd-down'; readonly diagnostic: number; readonly administrative: boolean };

/** The shortest transmit interval of a session that is not up (RFC 5880 §6.8.3). */
const SLOW = 1000;

const SILENT = { sendAt: undefined, detectAt: undefined, echo: undefined };

export function initialBfd(settings: BfdSettings): BfdSessionState {
  return { settings, state: 'down', diagnostic: 0, remote: undefined, ...SILENT, polling: false, sent: 0 };
}

type Outcome = { readonly next: BfdSessionState; readonly outputs: readonly BfdOutput[] };

export const bfdMachine: Machine<BfdSessionState, BfdInput, BfdOutput> = {
  step(state, input, now) {
    switch (input.kind) {
      case 'start':
        return { next: { ...state, sendAt: state.settings.passive ? undefined : now }, outputs: [] };
      case 'stop': {
        const next = { ...state, state: 'admin-down', diagnostic: DIAGNOSTICS['administratively-down'] } as const;
        return { next: { ...next, ...SILENT }, outputs: [{ kind: 'send', packet: say(next) }] };
      }
      case 'received':
        return onPacket(state, input.packet, now);
      case 'echoed':
        return { next: state.echo === undefined ? state : withEcho(state, state.echo.sendAt, now), outputs: [] };
      case 'tick':
        return onTick(state, now);
    }
  },
  nextDeadline({ sendAt, detectAt, echo }): Deadline | undefined {
    return earliest([
      deadline(sendAt, 'BFD packet'),
      deadline(detectAt, 'BFD detection time'),
      deadline(echo?.sendAt, 'BFD echo'),
      deadline(echo?.detectAt, 'no BFD echo'),
    ]);
  },
};

/** Our next control packet, with times in microseconds. */
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

/** RFC 5880 §6.8.7: the slower of both sides' intervals, less a jitter of 0 to 25 %, or of 10 to 25 % with a multiplier of 1. */
function pause(s: BfdSessionState): Millis {
  const interval = Math.max(desiredTx(s), (s.remote?.requiredMinRx ?? 0) / 1000);
  const share = ((s.sent * 7919 + s.settings.discriminator) % 251) / 251;
  return s.settings.detectMultiplier === 1 ? interval * (0.75 + 0.15 * share) : interval * (0.75 + 0.25 * share);
}

/** RFC 5880 §6.8.4. */
function detectionTime({ settings }: BfdSessionState, remote: BfdPacket): Millis {
  return remote.detectMultiplier * Math.max(settings.receiveInterval, remote.desiredMinTx / 1000);
}

/** Undefined: echo is off, or the remote system does not return echo packets (RFC 5880 §6.8.9). */
function echoPause({ state, settings, remote }: BfdSessionState): Millis | undefined {
  const { echoInterval } = settings;
  if (state !== 'up' || echoInterval === undefined || !remote?.requiredMinEchoRx) return undefined;
  return Math.max(echoInterval, remote.requiredMinEchoRx / 1000);
}

/** Sends the next echo packet at `sendAt` and restarts the detection time of echoes; off if either side does not support echo. */
function withEcho(s: BfdSessionState, sendAt: Millis, now: Millis): BfdSessionState {
  const interval = echoPause(s);
  if (interval === undefined) return { ...s, echo: undefined };
  return { ...s, echo: { sendAt, detectAt: now + s.settings.detectMultiplier * interval } };
}

function onTick(s: BfdSessionState, now: Millis): Outcome {
  let next = s;
  const outputs: BfdOutput[] = [];
  const isSilent = isDue(s.detectAt, now);
  if (isSilent || isDue(s.echo?.detectAt, now)) {
    const diagnostic = DIAGNOSTICS[isSilent ? 'detection-time-expired' : 'echo-failed'];
    const wasUp = s.state === 'up';
    next = { ...s, state: 'down', diagnostic, polling: false, echo: undefined };
    // The discriminator of a silent remote system is forgotten (RFC 5880 §6.8.1).
    if (isSilent) next = { ...next, remote: undefined, detectAt: undefined };
    // Tell the remote system at once, unless we are passive and have to wait for it.
    if (s.settings.passive && isSilent) next = { ...next, sendAt: undefined };
    else if (wasUp) next = { ...next, sendAt: now };
    if (wasUp) outputs.push({ kind: 'bfd-down', diagnostic, administrative: false });
  }
  const interval = echoPause(next);
  if (next.echo !== undefined && interval !== undefined && now >= next.echo.sendAt) {
    outputs.push({ kind: 'send-echo' });
    next = { ...next, echo: { ...next.echo, sendAt: now + interval } };
  }
  if (!isDue(next.sendAt, now)) return { next, outputs };
  outputs.push({ kind: 'send', packet: say(next) });
  const sent = { ...next, sent: next.sent + 1 };
  const later = next.remote?.requiredMinRx === 0 ? undefined : now + pause(sent);
  return { next: { ...sent, sendAt: later }, outputs };
}

function onPacket(s: BfdSessionState, packet: BfdPacket, now: Millis): Outcome {
  if (s.state === 'admin-down') return { next: s, outputs: [] };
  const outputs: BfdOutput[] = [];
  const before = s.state;
  const { state, diagnostic } = transition(s, packet);
  let next: BfdSessionState = { ...s, remote: packet, state, diagnostic };
  if (packet.final) next = { ...next, polling: false };
  // The timers become faster when the session comes up, which the remote system has to confirm.
  if (before !== 'up' && state === 'up') next = { ...next, polling: true };
  next = { ...next, detectAt: now + detectionTime(next, packet) };
  if (packet.poll) outputs.push({ kind: 'send', packet: say(next, { final: true }) });
  if (before !== state) {
    if (state === 'up') outputs.push({ kind: 'bfd-up' });
    if (before === 'up') outputs.push({ kind: 'bfd-down', diagnostic, administrative: packet.state === 'admin-down' });
  }
  // A change of state is sent at once; and a new, shorter interval brings the next packet forward.
  const isNews = before !== state;
  const latest = isNews || s.sendAt === undefined ? now : earliestTime(s.sendAt, now + pause(next));
  next = { ...next, sendAt: packet.requiredMinRx === 0 && !isNews ? undefined : latest };
  // The detection time of echoes starts with the first one sent.
  const isEchoing = next.echo !== undefined && echoPause(next) !== undefined;
  return { next: isEchoing ? next : withEcho(next, now, now), outputs };
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
