import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../../sim/random.ts';
import { formatPrefix } from '../../net/prefix.ts';
import { sessionMachine } from '../session/fsm.ts';
import { negotiate, type SessionSettings } from '../session/negotiation.ts';
import { initialSession } from '../session/state.ts';
import { BEFORE_OPEN, decodeMessage, encodeMessage, frameLength } from './codec.ts';
import type { BgpMessage, CodecOptions, UpdateMessage } from './messages.ts';

/** What the routers said to us (tools/record-bgp.ts). */
const RECORDED: Readonly<Record<string, readonly string[]>> = JSON.parse(
  readFileSync(new URL('../../../../test/replay/bgp/routers.json', import.meta.url), 'utf8'),
);
const ROUTERS = ['frr', 'bird', 'openbgpd', 'gobgp'];
const AGREED: CodecOptions = { fourOctetAs: true, extendedMessage: false };
const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
const framesOf = (router: string) => RECORDED[router]!.map(bytesOf);
const LOCAL = { identifier: 0x0a090909, addresses: [] };
const SETTINGS: SessionSettings = {
  asn: 64500,
  localAsn: 64500,
  peerAsn: 'external',
  holdTime: 90_000,
  keepaliveTime: undefined,
  connectTime: undefined,
  families: ['ipv4', 'ipv6'],
  gracefulRestart: true,
  passive: false,
  delayOpen: 0,
};

function read(router: string): BgpMessage[] {
  return framesOf(router).map((frame) => {
    const decoded = decodeMessage(frame, AGREED);
    if (!decoded.ok) throw new Error(decoded.error.message);
    expect(decoded.withdraw).toBeUndefined();
    return decoded.message;
  });
}

describe.each(ROUTERS)('what %s says', (router) => {
  it('is understood: who it is, and its routes', () => {
    const messages = read(router);
    const [open] = messages;
    if (open?.kind !== 'open') throw new Error('no OPEN');
    const asn = 64501 + ROUTERS.indexOf(router);
    expect(negotiate(SETTINGS, LOCAL, open)).toMatchObject({
      peerAsn: asn,
      families: ['ipv4', 'ipv6'],
      fourOctetAs: true,
    });
    const updates = messages.filter((message): message is UpdateMessage => message.kind === 'update');
    const route = updates.find(({ announced }) => announced.map(formatPrefix).includes('203.0.113.0/24'))!;
    expect(route.attributes.communities).toContainEqual([asn, 1]);
    expect(route.attributes.largeCommunities).toContainEqual([asn, 1, 2]);
    expect(route.attributes.asPath![0]!.asns[0]).toBe(asn);
    expect(route.attributes.med).toBeGreaterThan(0);
    const six = updates.flatMap(({ reach }) => (reach?.family === 'ipv6' ? reach.prefixes.map(formatPrefix) : []));
    expect(six).toEqual([`2001:db8:${asn - 64500}::/48`]);
  });

  it('comes out the same when we write it', () => {
    for (const [i, message] of read(router).entries()) {
      const written = encodeMessage(message, AGREED);
      // Attributes of other kinds and their order are the router's own affair: what we know of them stays.
      const again = decodeMessage(written, AGREED);
      expect(again).toEqual({ ok: true, message });
      if (message.kind !== 'update' && message.kind !== 'open') expect(written).toEqual(framesOf(router)[i]);
    }
  });
});

/** Changes bytes, cuts, doubles, and joins pieces of different messages. */
function mutate(random: Random, frames: readonly Uint8Array[]): Uint8Array {
  let bytes = random.pick(frames)!.slice();
  for (let i = random.between(1, 4); i > 0; i--) {
    const at = random.between(0, bytes.length - 1);
    switch (random.between(0, 5)) {
      case 0:
        bytes = bytes.slice(0, Math.max(1, at));
        break;
      case 1: {
        const other = random.pick(frames)!;
        bytes = Uint8Array.of(...bytes.slice(0, at + 1), ...other.slice(random.between(0, other.length - 1)));
        break;
      }
      case 2:
        bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff])!;
        break;
      default:
        bytes[at] = random.between(0, 255);
    }
  }
  // Half of them with a header that is right, so that what is inside is looked at.
  if (bytes.length < 19 || random.chance(0.5)) return bytes;
  bytes.fill(0xff, 0, 16);
  new DataView(bytes.buffer).setUint16(16, bytes.length);
  return bytes;
}

/** A share in each run; `FUZZ=10000000 npx vitest run --project unit src/core/bgp/wire/recorded` does as many as wanted. */
const INPUTS = Number(process.env.FUZZ ?? 30_000);

describe('messages of routers, mutilated', () => {
  it(
    `${INPUTS.toLocaleString('en')} of them never throw, and never leave the session in a state of which it knows nothing`,
    () => {
      const random = new Random(1);
      const frames = ROUTERS.flatMap(framesOf);
      const opens = ROUTERS.map((router) => framesOf(router)[0]!);
      const keepalive = encodeMessage({ kind: 'keepalive' }, BEFORE_OPEN);
      let state = initialSession(SETTINGS);
      let now = 0;
      let refused = 0;
      const step = (input: Parameters<typeof sessionMachine.step>[1]) => sessionMachine.step(state, input, now).outputs;
      for (let i = 0; i < INPUTS; i++) {
        now += 10;
        if (state.connections.size === 0) {
          // From the beginning again, as far as chance will have it.
          state = initialSession(SETTINGS);
          step({ kind: 'start' });
          step({ kind: 'connected', initiator: 'ours', local: LOCAL });
          if (random.chance(0.8)) step({ kind: 'frame', initiator: 'ours', bytes: random.pick(opens)! });
          if (random.chance(0.8)) step({ kind: 'frame', initiator: 'ours', bytes: keepalive });
        }
        const bytes = mutate(random, frames);
        const framed = frameLength(bytes, AGREED);
        const outputs =
          framed !== undefined && 'code' in framed
            ? step({ kind: 'unframeable', initiator: 'ours', error: framed })
            : step({ kind: 'frame', initiator: 'ours', bytes });
        for (const output of outputs) if (output.kind === 'session-down' || output.kind === 'attempt-failed') refused++;
        // What it still sends can be read.
        for (const output of outputs)
          if (output.kind === 'send') expect(decodeMessage(output.bytes, AGREED).ok).toBe(true);
      }
      expect(refused).toBeGreaterThan(INPUTS / 20);
      expect(refused).toBeLessThan(INPUTS);
    },
    INPUTS,
  );
});
