import { afterAll, beforeAll, expect, it } from 'vitest';
import { isInside, prepareInside } from '../../lab/net/sandbox.ts';
import { must } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { encodeLine, type RecordedLine } from '../../src/adapters/driver/recording.ts';
import type { FromWire } from '../../src/adapters/wire/messages.ts';
import { Wire } from '../../src/adapters/wire/wire.ts';
import { BFD_DEFAULTS } from '../../src/core/bfd/fsm.ts';
import { parseAddress } from '../../src/core/net/address.ts';
import { replay } from '../replay/replay.ts';

if (!isInside()) throw new Error('the lab tests build networks: run them by `npm test`, which gives them a sandbox');

const LOOPBACK = parseAddress('127.0.0.1')!;
const SECRET = Buffer.from('a key of the speakers');

let wire: Wire;
const lines = new Map<string, RecordedLine[]>();

beforeAll(() => {
  prepareInside();
  must(['ip', 'link', 'set', 'lo', 'up']);
  const onFact = (fact: FromWire) => {
    if (fact.kind === 'recorded') lines.set(fact.of, [...(lines.get(fact.of) ?? []), fact.line]);
  };
  const settings = { self: 'node-1', incarnation: 1n, interval: 100, misses: 3, fenced: false };
  wire = new Wire(
    {
      layer2: { refreshInterval: 0, probeBeforeUse: false, answerPing: false },
      excludeLinks: [],
      liveness: { ...settings, bindAddress: '127.0.0.1', port: 7946, secrets: [SECRET] },
      isRecorded: true,
    },
    onFact,
  );
});

afterAll(() => new Promise<void>((resolve) => wire.stop(resolve)));

it('the wire Worker hands over what its machines hear, as it can be played back, and no key', async () => {
  wire.send({ kind: 'members', members: [{ node: 'node-2', address: '127.0.0.1' }] });
  const target = {
    peer: 'tor',
    address: LOOPBACK,
    ...{ zone: undefined, source: undefined, device: '', multihop: false, minimumTtl: 254 },
    ...{ ...BFD_DEFAULTS, passive: false, echoInterval: undefined, echoReceiveInterval: 0 },
  };
  wire.send({ kind: 'bfd', targets: [target] });
  wire.send({ kind: 'announce', announcements: [{ address: parseAddress('198.51.100.1')! }], handingOver: [] });
  const recorded = ['layer2', 'liveness', 'bfd.tor'] as const;
  await until('all have been heard', () => recorded.every((of) => (lines.get(of)?.length ?? 0) > 3) && lines);
  const machines = recorded.map((of) => {
    const [first] = lines.get(of)!;
    return 'machine' in first! && first.machine;
  });
  expect(machines).toEqual(['layer2', 'liveness', 'bfd']);
  const text = (of: string) => lines.get(of)!.map(encodeLine).join('\n');
  // Each sends something on its own.
  for (const of of ['liveness', 'bfd.tor']) expect(replay(text(of)).join()).toContain('"kind":"send');
  expect(replay(text('layer2'))).toHaveLength(lines.get('layer2')!.length - 1);
  for (const of of recorded) expect(text(of)).not.toContain(SECRET.toString('hex'));
});
