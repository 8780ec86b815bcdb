import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { formatMac } from '../net/mac.ts';
import { decodeEcho } from './echo-codec.ts';
import { layer2Machine } from './fsm.ts';
import type { Interface } from './messages.ts';
import { initialLayer2 } from './state.ts';

const bytes = (...hex: string[]) => Uint8Array.from(Buffer.from(hex.join('').replaceAll(' ', ''), 'hex'));
const ETHERNET = '02 00 00 00 00 02  02 00 00 00 00 64';
/** ping 192.0.2.7 from 192.0.2.100, with the data "metallb!". */
const FOUR = bytes(
  `${ETHERNET} 0800`,
  '45 00 00 24 00 01 40 00 40 01 b6 6c c0 00 02 64 c0 00 02 07',
  '08 00 47 a3 00 07 00 01 6d 65 74 61 6c 6c 62 21',
);
/** ping 2001:db8::7 from 2001:db8::64, without data. */
const SIX = bytes(
  `${ETHERNET} 86dd`,
  '60 00 00 00 00 08 3a 40 20010db8000000000000000000000064 20010db8000000000000000000000007',
  '80 00 23 d8 00 07 00 01',
);
const OWN = Uint8Array.of(2, 0, 0, 0, 0, 2);
const ETH0: Interface = { name: 'eth0', index: 2, mac: OWN, arp: true, ndp: true };

describe('echo', () => {
  it.each([
    // Checksums as another implementation made them.
    ['192.0.2.7', FOUR, 34, '00 00 4f a3', '192.0.2.100'],
    ['2001:db8::7', SIX, 54, '81 00 22 d8', '2001:db8::64'],
  ])('to %s is turned round: addresses, type and checksums', (target, frame, at, head, asker) => {
    const echo = decodeEcho(frame)!;
    expect(echo.target).toEqual(parseAddress(target));
    const reply = echo.reply(OWN);
    expect([formatMac(reply.subarray(0, 6)), formatMac(reply.subarray(6, 12))]).toEqual([
      '02:00:00:00:00:64',
      '02:00:00:00:00:02',
    ]);
    expect(reply.slice(at, at + 4)).toEqual(bytes(head));
    expect(reply.slice(at + 4)).toEqual(frame.slice(at + 4));
    // Turned into a request again it is one to the asker, with a header that is in order.
    reply.set(frame.subarray(at, at + 4), at);
    expect(decodeEcho(reply)?.target).toEqual(parseAddress(asker));
  });

  it('gets a TTL of ours, and a header checksum that goes with it', () => {
    const dying = Uint8Array.from(FOUR);
    dying.set(bytes('01 01 f5 6c'), 22);
    const reply = decodeEcho(dying)!.reply(OWN);
    expect(reply.slice(14, 26)).toEqual(FOUR.slice(14, 26));
  });

  it('is answered for addresses of ours only, and only when told to', () => {
    const answers = (frame: Uint8Array, address: string, answerPing: boolean) => {
      let state = initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing });
      const announcements = [{ address: parseAddress(address)! }];
      for (const input of [
        { kind: 'interfaces', interfaces: [ETH0] } as const,
        { kind: 'announce', announcements, handingOver: [] } as const,
      ])
        state = layer2Machine.step(state, input, 0).next;
      return layer2Machine.step(state, { kind: 'frame-received', interface: 2, bytes: frame }, 0).outputs.length;
    };
    expect(answers(FOUR, '192.0.2.7', true)).toBe(1);
    expect(answers(SIX, '2001:db8::7', true)).toBe(1);
    expect(answers(FOUR, '192.0.2.8', true)).toBe(0);
    expect(answers(FOUR, '192.0.2.7', false)).toBe(0);
  });

  it('is not made out of garbage, fragments or damaged packets', () => {
    const fragment = Uint8Array.from(FOUR);
    fragment[20] = 0x20;
    expect(decodeEcho(fragment)).toBeUndefined();
    for (const frame of [FOUR, SIX]) {
      for (let i = 0; i < frame.length; i++) {
        expect(decodeEcho(frame.subarray(0, i))).toBeUndefined();
      }
    }
    const mutated = fc
      .tuple(fc.constantFrom(FOUR, SIX), fc.nat(80), fc.nat(255))
      .map(([frame, at, byte]) => frame.with(at % frame.length, byte));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), mutated), (frame) => {
        const echo = decodeEcho(frame);
        if (echo !== undefined) expect(echo.reply(OWN).length).toBeLessThanOrEqual(frame.length);
      }),
      { numRuns: 2000 },
    );
  });
});
