import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../net/address.ts';
import { formatMac } from '../net/mac.ts';
import { decodeArp } from './arp-codec.ts';
import { decodeEcho } from './echo-codec.ts';
import { layer2Machine } from './fsm.ts';
import type { Interface } from './messages.ts';
import { decodeNdp } from './ndp-codec.ts';
import { initialLayer2, type Layer2Input } from './state.ts';

/** Frames of Linux hosts, arping, ping and ndisc6, as tcpdump recorded and described them. */
const RECORDED: readonly (readonly [description: string, protocol: 'arp' | 'ndp' | 'echo' | 'none', hex: string])[] = [
  [
    'IP6 :: > ff02::1:ff21:4aa: ICMP6, neighbor solicitation, who has fe80::c870:11ff:fe21:4aa, length 32',
    'ndp',
    '3333ff2104aaca70112104aa86dd6000000000203aff00000000000000000000000000000000ff0200000000000000000001ff2104aa8700470200000000fe80000000000000c87011fffe2104aa0e01da74acd7bdc8',
  ],
  [
    'ARP, Request who-has 192.168.1.2 tell 192.168.1.3, length 28',
    'arp',
    'ffffffffffff02005e0003030806000108000604000102005e000303c0a80103000000000000c0a80102',
  ],
  [
    'ARP, Reply 192.168.1.2 is-at 02:00:5e:00:03:02, length 28',
    'arp',
    '02005e00030302005e0003020806000108000604000202005e000302c0a8010202005e000303c0a80103',
  ],
  [
    'IP6 fd00:192:168:1::3 > ff02::1:ff00:2: ICMP6, neighbor solicitation, who has fd00:192:168:1::2, length 32',
    'ndp',
    '3333ff00000202005e00030386dd6000000000203afffd000192016800010000000000000003ff0200000000000000000001ff0000028700169d00000000fd000192016800010000000000000002010102005e000303',
  ],
  [
    'IP6 fd00:192:168:1::2 > fd00:192:168:1::3: ICMP6, neighbor advertisement, tgt is fd00:192:168:1::2, length 32',
    'ndp',
    '02005e00030302005e00030286dd6000000000203afffd000192016800010000000000000002fd0001920168000100000000000000038800b2a660000000fd000192016800010000000000000002020102005e000302',
  ],
  [
    'IP6 fd00:192:168:1::3 > fd00:192:168:1::2: ICMP6, echo request, id 34, seq 1, length 64',
    'echo',
    '02005e00030202005e00030386dd6001a7dc00403a40fd000192016800010000000000000003fd000192016800010000000000000002800052a2002200017ea6016b00000000dfde0e0000000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637',
  ],
  [
    'IP6 fd00:192:168:1::2 > fd00:192:168:1::3: ICMP6, echo reply, id 34, seq 1, length 64',
    'none',
    '02005e00030302005e00030286dd6006297700403a40fd000192016800010000000000000002fd000192016800010000000000000003810051a2002200017ea6016b00000000dfde0e0000000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637',
  ],
  [
    'ARP, Reply 192.168.1.3 is-at 02:00:5e:00:03:03, length 28',
    'arp',
    'ffffffffffff02005e0003030806000108000604000202005e000303c0a8010302005e000303c0a80103',
  ],
  [
    'ARP, Request who-has 192.168.1.9 (ff:ff:ff:ff:ff:ff) tell 0.0.0.0, length 28',
    'arp',
    'ffffffffffff02005e0003030806000108000604000102005e00030300000000ffffffffffffc0a80109',
  ],
];
const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
const OWNED = ['192.168.1.2', 'fd00:192:168:1::2'];
const ETH0: Interface = { name: 'eth0', index: 2, mac: bytesOf('02005e000302'), arp: true, ndp: true };

/** A node that owns what the recorded host owned, for one frame. */
function outputsFor(bytes: Uint8Array) {
  let state = initialLayer2({ refreshInterval: 0, probeBeforeUse: false, answerPing: true });
  const announcements = OWNED.map((address) => ({ address: parseAddress(address)! }));
  const inputs: Layer2Input[] = [
    { kind: 'interfaces', interfaces: [ETH0] },
    { kind: 'announce', announcements, handingOver: [] },
  ];
  for (const input of inputs) state = layer2Machine.step(state, input, 0).next;
  return layer2Machine.step(state, { kind: 'frame-received', interface: 2, bytes }, 0).outputs;
}

/** The owned address that a frame rightly asks for. */
function askedFor(bytes: Uint8Array): string | undefined {
  const arp = decodeArp(bytes);
  const ndp = decodeNdp(bytes);
  const echo = decodeEcho(bytes);
  const target =
    (arp.ok && arp.frame.operation === 'request' && arp.frame.targetAddress) ||
    (ndp.ok && ndp.frame.kind === 'solicitation' && ndp.frame.target) ||
    echo?.target;
  const text = target ? formatAddress(target) : undefined;
  return text !== undefined && OWNED.includes(text) ? text : undefined;
}

describe('recorded frames', () => {
  it.each(RECORDED)('%s', (_, protocol, hex) => {
    const bytes = bytesOf(hex);
    expect(decodeArp(bytes).ok).toBe(protocol === 'arp');
    expect(decodeNdp(bytes).ok).toBe(protocol === 'ndp');
    expect(decodeEcho(bytes) !== undefined).toBe(protocol === 'echo');
    expect(outputsFor(bytes).some(({ kind }) => kind === 'send')).toBe(askedFor(bytes) !== undefined);
  });

  it('cut, lengthened and changed make nobody throw, and bring no answer that the rules forbid', () => {
    const mutated = fc
      .tuple(
        fc.constantFrom(...RECORDED.map(([, , hex]) => hex)),
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }),
        fc.option(fc.nat(120), { nil: undefined }),
        fc.uint8Array({ maxLength: 8 }),
      )
      .map(([hex, changes, length, tail]) => {
        const bytes = Uint8Array.from([...bytesOf(hex), ...tail]);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return length === undefined ? bytes : bytes.slice(0, length);
      });
    fc.assert(
      fc.property(mutated, (bytes) => {
        for (const output of outputsFor(bytes)) {
          if (output.kind !== 'send') continue;
          expect(askedFor(bytes)).toBeDefined();
          expect(formatMac(output.bytes.slice(6, 12))).toBe(formatMac(ETH0.mac));
        }
      }),
      { numRuns: 5000 },
    );
  });
});
