/**
 * All BGP of one node as a machine: opens and ends sessions, gives them their routes, chooses whom BFD monitors, and reports status. It
 * steps the machines of the sessions (session/fsm.ts).
 * @module
 */
import { type Deadline, deadline, earliest, earliestTime, isDue, type Machine, type Millis } from '../../machine.ts';
import { equal } from '../../net/equal.ts';
import type { MacAddress } from '../../net/mac.ts';
import { goingAway } from '../rib/route.ts';
import { applyUpdates, type RouteUpdate, snapshotOf } from '../rib/route-update.ts';
import { sessionMachine } from '../session/fsm.ts';
import { established, holdsRoutes, initialSession, type SessionInput } from '../session/state.ts';
import { type BfdTarget, bfdTarget, hastyInterval } from './bfd-target.ts';
import { renewedBy } from './peer-change.ts';
import { dialTarget } from './router-address.ts';
import { sessionSettings } from './session-settings.ts';
import { sessionStatus } from './session-status.ts';
import { nextSilence, silenceDeadline } from './silence.ts';
import { foundRouter, type PeerState, type PeersInput, type PeersOutput, type PeersState } from './state.ts';
import type { PeerPlan, WantedPeers } from './wanted.ts';

/** Milliseconds from a change until statuses are reported: changes often come in groups. */
const STATUS_PAUSE = 200;
/** The same if only the number of routes has changed, which happens on every speaker with every Service. */
const COUNT_PAUSE = 3000;
/** Milliseconds during which the same failure of a peer is not reported again. */
const REPEAT = 60_000;
/**
 * Milliseconds from the end of sessions whose routes the peer retains (RFC 4724) until the end of BFD. FRR treats even AdminDown as a
 * failure and drops the retained routes, unless it has noticed before that the session is gone.
 */
const BFD_GRACE = 300;

interface Turn {
  readonly s: PeersState;
  readonly now: Millis;
  readonly outputs: PeersOutput[];
  /** Sessions have been opened, ended or attempted: statuses, and which peers are silent, may have changed. */
  isSessionNews: boolean;
}

export const peersMachine: Machine<PeersState, PeersInput, PeersOutput> = {
  step(state, input, now) {
    const turn: Turn = { s: state, now, outputs: [], isSessionNews: false };
    switch (input.kind) {
      case 'wanted':
        if (state.phase.kind === 'running') want(turn, input);
        break;
      case 'links':
        state.links = input.links;
        state.forwardsIpv4 = input.forwardsIpv4;
        watch(turn);
        break;
      case 'bfd-changed':
        onBfd(turn, input);
        break;
      case 'router-found':
        onRouter(turn, input);
        break;
      case 'session': {
        const peer = state.peers.get(input.peer);
        if (peer !== undefined) feed(turn, peer, input.input);
        break;
      }
      case 'drain':
        drain(turn);
        break;
      case 'stop':
        stop(turn, input.why);
        break;
      case 'tick':
        onTick(turn);
    }
    if (state.phase.kind === 'running') {
      if (turn.isSessionNews) tellLater(turn, STATUS_PAUSE);
      if (turn.isSessionNews || input.kind === 'tick') noteSilence(turn);
    }
    return { next: state, outputs: turn.outputs };
  },
  nextDeadline({ phase, peers, silence, statusAt }): Deadline | undefined {
    const isRunning = phase.kind === 'running';
    return earliest([
      isRunning ? deadline(statusAt, 'statuses of sessions') : undefined,
      isRunning ? silenceDeadline(silence) : undefined,
      phase.kind === 'stopping' ? deadline(phase.at, 'the end of BFD') : undefined,
      ...[...peers.values()].map(({ due }) => due),
    ]);
  },
};

/** Passes changed routes to the sessions; a changed peer gets a new session only if the change needs one. */
function want(turn: Turn, { plans, routes }: WantedPeers): void {
  const { s } = turn;
  const updates = new Map(routes.map((update) => [update.audience, update]));
  applyUpdates(s.audiences, routes, new Set(plans.map(({ audience }) => audience)));
  const isNews = plans !== s.plans && !equal(plans, s.plans);
  if (isNews) {
    endOthers(turn, plans);
    s.plans = plans;
  }
  for (const plan of plans) {
    const known = s.peers.get(plan.peer.name);
    if (known === undefined) open(turn, plan);
    else supply(turn, known, updates.get(plan.audience));
  }
  if (isNews) {
    watch(turn);
    warn(turn);
  }
  tellLater(turn, isNews ? STATUS_PAUSE : COUNT_PAUSE);
}

/** Ends the sessions of peers that are gone or whose change needs a new session. */
function endOthers(turn: Turn, plans: readonly PeerPlan[]): void {
  const { s, outputs } = turn;
  const wanted = new Map(plans.map((plan) => [plan.peer.name, plan]));
  for (const [name, peer] of [...s.peers]) {
    const plan = wanted.get(name);
    const before = peer.plan.peer;
    const renewing = plan && renewedBy(before, plan.peer);
    if (plan !== undefined && renewing?.length === 0) {
      peer.plan = plan;
      const settings = sessionSettings(plan.peer);
      if (!equal(settings, peer.session.settings)) feed(turn, peer, { kind: 'settings', settings });
      continue;
    }
    if (renewing === undefined) {
      const why = 'no BGPPeer selects this router and node any more';
      feed(turn, peer, { kind: 'stop', cause: 'de-configured', why, hold: false });
    } else {
      const why = `the BGPPeer was changed: ${renewing.join(', ')}`;
      feed(turn, peer, { kind: 'stop', cause: 'configuration-change', why, hold: true });
    }
    outputs.push({ kind: 'gone', peer: before });
    s.peers.delete(name);
    turn.isSessionNews = true;
    if (plan !== undefined) open(turn, plan, peer);
  }
}

/** `former`: the same peer before a change that needs a new session. */
function open(turn: Turn, plan: PeerPlan, former?: PeerState): void {
  const { s, now, outputs } = turn;
  const peer: PeerState = {
    plan,
    session: initialSession(sessionSettings(plan.peer)),
    due: undefined,
    bfd: former?.bfd,
    failure: former?.failure,
    lostAt: former?.lostAt ?? now,
    isLeaving: former?.isLeaving ?? false,
  };
  s.peers.set(plan.peer.name, peer);
  outputs.push({ kind: 'opened', peer: plan.peer });
  supply(turn, peer, undefined);
  feed(turn, peer, { kind: 'start' });
  turn.isSessionNews = true;
}

/** Brings a session's routes up to date: by the delta `news` if it follows what the session has, otherwise by a snapshot. */
function supply(turn: Turn, peer: PeerState, news: RouteUpdate | undefined): void {
  const { plan, session } = peer;
  const set = turn.s.audiences.get(plan.audience);
  if (set === undefined) return;
  const { audience, version } = session.wanted;
  if (audience === set.audience && version === set.version) return;
  const follows = news?.kind === 'delta' && audience === news.audience && version === news.from;
  const routes = follows || news?.kind === 'snapshot' ? news : snapshotOf(set);
  feed(turn, peer, { kind: 'routes', routes: peer.isLeaving ? updateGoingAway(routes) : routes });
}

function updateGoingAway(update: RouteUpdate): RouteUpdate {
  return update.kind === 'snapshot'
    ? { ...update, routes: update.routes.map(goingAway) }
    : { ...update, changed: update.changed.map(goingAway) };
}

function feed(turn: Turn, peer: PeerState, input: SessionInput | { readonly kind: 'tick' }): void {
  const { s, now, outputs } = turn;
  const { name } = peer.plan.peer;
  for (const output of sessionMachine.step(peer.session, input, now).outputs) {
    switch (output.kind) {
      case 'connect': {
        const to = dialTarget(peer.plan.peer, foundRouter(s, peer.plan.peer));
        if (typeof to === 'string') feed(turn, peer, { kind: 'connect-failed', why: to });
        else outputs.push({ kind: 'connect', peer: name, to });
        break;
      }
      case 'attempt-failed':
        outputs.push({
          kind: 'attempt-failed',
          peer: name,
          why: output.why,
          isNews: isNewFailure(turn, peer, output.why),
        });
        turn.isSessionNews = true;
        break;
      case 'session-up':
        peer.failure = undefined;
        turn.isSessionNews = true;
        outputs.push({ kind: 'session', peer: name, output });
        break;
      case 'session-down':
        peer.lostAt = now;
        turn.isSessionNews = true;
        outputs.push({ kind: 'session', peer: name, output });
        break;
      default:
        outputs.push({ kind: 'session', peer: name, output });
    }
  }
  peer.due = sessionMachine.nextDeadline(peer.session);
}

/** An unreachable router is retried forever: the same failure need not be logged each time. */
function isNewFailure({ now }: Turn, peer: PeerState, why: string): boolean {
  const { failure } = peer;
  if (failure?.why === why && now - failure.at <= REPEAT) return false;
  peer.failure = { why, at: now };
  return true;
}

/** Outputs whom BFD has to monitor, and on which interfaces routers are to be discovered. */
function watch(turn: Turn): void {
  const { s, outputs } = turn;
  if (s.phase.kind !== 'running') return;
  const targets = s.plans.flatMap((plan): BfdTarget[] => {
    const target = bfdTarget(plan, foundRouter(s, plan.peer), s.forwardsIpv4);
    return target === undefined ? [] : [target];
  });
  // Output even if unchanged: a target that failed, for example because its VRF was missing, is retried with every change of links.
  if (targets.length > 0 || s.isWatching) outputs.push({ kind: 'bfd', targets });
  s.isWatching = targets.length > 0;
  const watched = new Set(targets.map(({ peer }) => peer));
  for (const [name, peer] of s.peers) if (!watched.has(name)) peer.bfd = undefined;
  const unnumbered = new Set(
    s.plans.flatMap(({ peer: { target } }) => (target.kind === 'interface' ? target.name : [])),
  );
  const interfaces = new Map<string, MacAddress>();
  for (const { name, mac } of s.links) if (unnumbered.has(name)) interfaces.set(name, mac);
  if (interfaces.size > 0 || s.isDiscovering) outputs.push({ kind: 'discover', interfaces });
  s.isDiscovering = interfaces.size > 0;
}

function warn({ s, outputs }: Turn): void {
  for (const { peer, bfd } of s.plans) {
    const interval = hastyInterval(bfd);
    if (bfd === undefined || interval === undefined || s.warned.has(peer.name)) continue;
    s.warned.add(peer.name);
    outputs.push({ kind: 'hasty-bfd', peer: peer.name, profile: bfd.name, interval });
  }
}

function onBfd(turn: Turn, { peer: name, up, administrative }: Extract<PeersInput, { kind: 'bfd-changed' }>): void {
  const peer = turn.s.peers.get(name);
  if (peer === undefined) return;
  peer.bfd = up ? 'up' : 'down';
  if (!up && !administrative) feed(turn, peer, { kind: 'bfd-down' });
  if (turn.s.phase.kind === 'running') tellLater(turn, STATUS_PAUSE);
}

function onRouter(turn: Turn, { interface: name, address }: Extract<PeersInput, { kind: 'router-found' }>): void {
  const { s } = turn;
  const isNews = !equal(s.routers.get(name), address);
  s.routers.set(name, address);
  for (const peer of s.peers.values()) {
    const { target } = peer.plan.peer;
    // The router has just been found: no need to wait for the next attempt.
    if (isNews && peer.session.attempt.kind !== 'stopped' && target.kind === 'interface' && target.name === name)
      feed(turn, peer, { kind: 'start' });
  }
  watch(turn);
}

function drain(turn: Turn): void {
  const { s } = turn;
  const asked = new Map<number, RouteUpdate>();
  for (const peer of s.peers.values()) {
    const connection = established(peer.session);
    if (connection === undefined || holdsRoutes(peer.session, connection)) continue;
    peer.isLeaving = true;
    const { audience } = peer.plan;
    const set = s.audiences.get(audience);
    if (set === undefined) continue;
    const routes = asked.get(audience) ?? updateGoingAway(snapshotOf(set));
    asked.set(audience, routes);
    feed(turn, peer, { kind: 'routes', routes });
  }
}

function stop(turn: Turn, why: string): void {
  const { s, now } = turn;
  let areHeld = false;
  for (const peer of s.peers.values()) {
    const { session } = peer;
    const isLeaving = [...session.wanted.routes.values()].some(({ gracefulShutdown }) => gracefulShutdown);
    areHeld ||= !isLeaving && holdsRoutes(session, established(session));
    feed(turn, peer, { kind: 'stop', cause: 'shutdown', why, hold: !isLeaving });
  }
  s.phase = { kind: 'stopping', at: areHeld ? now + BFD_GRACE : now };
  if (!areHeld) endBfd(turn);
}

function endBfd({ s, outputs }: Turn): void {
  s.phase = { kind: 'stopped' };
  outputs.push({ kind: 'bfd', targets: [] }, { kind: 'stopped' });
}

function noteSilence({ s, now, outputs }: Turn): void {
  const isUp = new Map([...s.peers].map(([name, { session }]) => [name, established(session) !== undefined]));
  const before = s.silence.peers;
  s.silence = nextSilence(s.silence, isUp, now);
  const { peers } = s.silence;
  const isAll = s.peers.size > 0 && peers.length === s.peers.size;
  if (equal(peers, before) && isAll === s.isUnheard) return;
  s.isUnheard = isAll;
  const silent = peers.map((peer) => ({
    peer,
    why: s.peers.get(peer)!.session.lastError ?? 'there was no attempt yet',
  }));
  outputs.push({ kind: 'silence', peers: silent, isAll });
}

/** Schedules a report of statuses, unless an earlier one is scheduled. */
function tellLater({ s, now }: Turn, pause: Millis): void {
  s.statusAt = earliestTime(s.statusAt, now + pause);
}

function tellStatuses({ s, outputs }: Turn): void {
  s.statusAt = undefined;
  for (const [name, peer] of s.peers) {
    const status = sessionStatus(s, peer);
    if (equal(status, s.statuses.get(name))) continue;
    s.statuses.set(name, status);
    outputs.push({ kind: 'status', peer: name, status });
  }
  for (const name of s.statuses.keys()) {
    if (s.peers.has(name)) continue;
    s.statuses.delete(name);
    outputs.push({ kind: 'status', peer: name, status: undefined });
  }
}

function onTick(turn: Turn): void {
  const { s, now } = turn;
  for (const peer of s.peers.values()) if (isDue(peer.due?.at, now)) feed(turn, peer, { kind: 'tick' });
  if (s.phase.kind === 'stopping' && now >= s.phase.at) endBfd(turn);
  if (s.phase.kind === 'running' && isDue(s.statusAt, now)) tellStatuses(turn);
}
