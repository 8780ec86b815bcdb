import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Tick } from '../machine.ts';
import { formatAddress, parseAddress } from '../net/address.ts';
import { BROADCAST_MAC, formatMac, parseMac } from '../net/mac.ts';
import { decodeArp, encodeArp } from './arp-codec.ts';
import { layer2Machine, TICK } from './fsm.ts';
import { encodeNdp, multicastMac, solicitedNode } from './ndp-codec.ts';
import { encodeProbe } from './probe.ts';
import { initialLayer2, type Layer2Input } from './state.ts';

const MACS = ['02:00:00:00:00:01', '02:00:00:00:00:03', '02:00:00:00:00:05'].map((text) => parseMac(text)!);
const ADDRESSES = ['192.0.2.7', '192.0.2.8', '2001:db8::7', '2001:db8::8'].map((text) => parseAddress(text)!);
const NO_MAC = new Uint8Array(6);

const address = fc.constantFrom(...ADDRESSES);
const mac = fc.constantFrom(...MACS);
const announcement = fc.record({ address }, { requiredKeys: ['address'] });
const link = fc
  .record({ index: fc.constantFrom(2, 3), mac, arp: fc.boolean(), ndp: fc.boolean() })
  .map((one) => ({ ...one, name: `eth${one.index}` }));

/** Claims, questions and probes by whoever has this MAC. */
const frame = fc
  .record({ address, other: address, sender: mac, operation: fc.constantFrom('request', 'reply'), probe: fc.boolean() })
  .map(({ address, other, sender, operation, probe }) => {
    if (probe) return encodeProbe(address, sender);
    if (address.family === 'ipv4')
      return encodeArp({
        destination: BROADCAST_MAC,
        source: sender,
        operation,
        senderMac: sender,
        senderAddress: other.family === 'ipv4' ? other : address,
        targetMac: NO_MAC,
        targetAddress: address,
      });
    const group = solicitedNode(address);
    const envelope = { source: sender, sourceAddress: address, target: address };
    return operation === 'reply'
      ? encodeNdp({
          ...envelope,
          kind: 'advertisement',
          destination: multicastMac(group),
          destinationAddress: group,
          router: false,
          solicited: false,
          override: true,
          targetLinkLayer: sender,
        })
      : encodeNdp({ ...envelope, kind: 'solicitation', destination: multicastMac(group), destinationAddress: group });
  });

const received = (bytes: fc.Arbitrary<Uint8Array>) =>
  fc.record({ kind: fc.constant('frame-received' as const), interface: fc.constantFrom(2, 3, 9), bytes });

const input: fc.Arbitrary<Layer2Input | Tick> = fc.oneof(
  { weight: 6, arbitrary: received(frame) },
  { weight: 1, arbitrary: received(fc.uint8Array({ maxLength: 90 })) },
  { weight: 4, arbitrary: fc.constant(TICK) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('announce' as const),
      announcements: fc.array(announcement, { maxLength: 3 }),
      handingOver: fc.array(announcement, { maxLength: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('interfaces' as const),
      interfaces: fc.uniqueArray(link, { maxLength: 2, selector: ({ index }) => index }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.subarray(MACS).map((macs): Layer2Input => ({ kind: 'siblings', macs: new Set(macs.map(formatMac)) })),
  },
  { weight: 1, arbitrary: fc.constant<Layer2Input>({ kind: 'leave' }) },
  {
    weight: 2,
    arbitrary: fc
      .record({
        kind: fc.constantFrom('confirmed', 'yielded'),
        some: fc.subarray(ADDRESSES),
        mac,
        isFirst: fc.boolean(),
      })
      .map(({ kind, some, mac, isFirst }): Layer2Input => {
        const told = { node: formatMac(mac), macs: new Set([formatMac(mac)]), addresses: some.map(formatAddress) };
        return kind === 'yielded' ? { kind, ...told } : { kind: 'confirmed', ...told, isFirst };
      }),
  },
);
const history = fc.array(fc.tuple(fc.constantFrom(0, 100, 250, 1000, 120_000), input), { maxLength: 40, size: 'max' });
const settings = fc.record({
  refreshInterval: fc.constantFrom(0, 60_000),
  probeBeforeUse: fc.boolean(),
  answerPing: fc.boolean(),
});

it('whatever happens, a node sends as itself on links that it has, claims only what it owns, and comes to rest', () => {
  fc.assert(
    fc.property(settings, history, (settings, steps) => {
      let state = initialLayer2(settings);
      let now = 0;
      for (const [pause, input] of steps) {
        now += pause;
        const owned = new Set([...state.owned.keys()]);
        const { next, outputs } = layer2Machine.step(state, input, now);
        for (const key of next.owned.keys()) owned.add(key);
        for (const output of outputs) {
          if (output.kind !== 'send') continue;
          expect(formatMac(output.bytes.slice(6, 12))).toBe(formatMac(next.interfaces.get(output.interface)!.mac));
          const arp = decodeArp(output.bytes);
          if (!arp.ok) continue;
          const { senderAddress, targetAddress } = arp.frame;
          expect(owned).toContain(formatAddress(senderAddress.value === 0n ? targetAddress : senderAddress));
        }
        // A timer that is due when it has just gone off would keep the Worker busy forever.
        state = layer2Machine.step(next, TICK, now).next;
        expect(layer2Machine.nextDeadline(state)?.at ?? Number.MAX_VALUE).toBeGreaterThan(now);
      }
    }),
    { numRuns: 150 },
  );
});
