/**
 * The content of a BGPSessionStatus for one peer.
 * @module
 */
import { formatAddress } from '../../net/address.ts';
import { established } from '../session/state.ts';
import type { Capability } from '../wire/messages.ts';
import { addressLabel } from './peer-label.ts';
import { foundRouter, type PeerState, type PeersState, type SessionStatus } from './state.ts';

export function sessionStatus(state: Pick<PeersState, 'routers'>, peerState: PeerState): SessionStatus {
  const { plan, session, bfd, lostAt } = peerState;
  const negotiated = established(session)?.stage.negotiated;
  const [label, found] = [addressLabel(plan.peer), foundRouter(state, plan.peer)];
  return {
    address: found === undefined ? label : `${formatAddress(found)}%${label}`,
    localASN: session.settings.localAsn,
    ...(negotiated && {
      peerASN: negotiated.peerAsn,
      holdTimeSeconds: negotiated.holdTime / 1000,
      families: [...negotiated.families],
      capabilities: [...new Set(negotiated.capabilities.map(describeCapability))],
    }),
    // Between attempts the phase changes all the time; all that matters is that the session is not up.
    state: negotiated === undefined ? 'Active' : 'Established',
    since: negotiated === undefined ? lostAt : session.since,
    prefixes: session.sent.size,
    wantedPrefixes: session.wanted.routes.size,
    bfd: plan.bfd === undefined ? 'None' : bfd === 'up' ? 'Up' : 'Down',
    ...(session.lastError !== undefined && { lastError: session.lastError }),
  };
}

function describeCapability(capability: Capability): string {
  return capability.kind === 'unknown' ? `code ${capability.code}` : capability.kind;
}
