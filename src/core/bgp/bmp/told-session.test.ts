import { describe, expect, it } from 'vitest';
import { bgpRoute, SESSION_SETTINGS } from '../../../../test/builders.ts';
import { parseAddress } from '../../net/address.ts';
import { sessionMachine } from '../session/fsm.ts';
import { initialSession, type SessionInput } from '../session/state.ts';
import { decodeMessage, encodeMessage } from '../wire/codec.ts';
import type { OpenMessage } from '../wire/messages.ts';
import { toldSession } from './told-session.ts';

const SETTINGS = SESSION_SETTINGS;
const OPEN: OpenMessage = {
  kind: 'open',
  version: 4,
  asn: 64501,
  holdTime: 90,
  identifier: 0x0a0000fe,
  capabilities: [
    { kind: 'multiprotocol', family: 'ipv4' },
    { kind: 'four-octet-as', asn: 64501 },
  ],
};
const WIRE = { fourOctetAs: true, extendedMessage: false };
const ROUTE = bgpRoute('192.0.2.0/32');
const SOCKETS = { localAddress: 'fe80::1%eth0', localPort: 40_000, remoteAddress: 'fe80::2%eth0', remotePort: 179 };

/** A session with one route that has come so far as the inputs say. */
function session(...inputs: SessionInput[]) {
  let state = initialSession(SETTINGS);
  for (const input of inputs) state = sessionMachine.step(state, input, 0).next;
  return state;
}

const frame = (message: Parameters<typeof encodeMessage>[0]): SessionInput => ({
  kind: 'frame',
  initiator: 'ours',
  bytes: encodeMessage(message, WIRE),
});
const UP_TO_OPEN: SessionInput[] = [
  { kind: 'routes', routes: { kind: 'snapshot', audience: 1, version: 1, routes: [ROUTE] } },
  { kind: 'start' },
  { kind: 'connected', initiator: 'ours', local: { identifier: 1, addresses: [parseAddress('10.0.0.1')!] } },
  frame(OPEN),
];
const UP: SessionInput[] = [...UP_TO_OPEN, frame({ kind: 'keepalive' })];

describe('a session as a BMP station is told of it', () => {
  it('is none before it is up, or once its connection is gone', () => {
    expect(toldSession('p', session(...UP_TO_OPEN), SOCKETS, false)).toBeUndefined();
    expect(toldSession('p', session(...UP), {}, false)).toBeUndefined();
  });

  it('has both ends without their zone, both OPENs, and what the router says of itself', () => {
    const told = toldSession('p', session(...UP), SOCKETS, true)!;
    const [address, localAddress] = [parseAddress('fe80::2'), parseAddress('fe80::1')];
    expect(told.peer).toEqual({ address, asn: 64501, identifier: OPEN.identifier, fourOctetAs: true });
    expect(told.ends).toEqual({ localAddress, localPort: 40_000, remotePort: 179 });
    expect([told.opens.sent[18], told.opens.received]).toEqual([1, encodeMessage(OPEN, WIRE)]);
  });

  it('brings its routes and their end along, unless they are still to come', () => {
    expect(toldSession('p', session(...UP), SOCKETS, true)!.updates).toEqual([]);
    const updates = toldSession('p', session(...UP), SOCKETS, false)!.updates.map((bytes) => {
      const decoded = decodeMessage(bytes, WIRE);
      return decoded.ok && decoded.message;
    });
    expect(updates).toMatchObject([
      { kind: 'update', announced: [ROUTE.prefix] },
      { kind: 'update', announced: [], attributes: {} },
    ]);
  });
});
