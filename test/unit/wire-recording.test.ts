/**
 * What `--record` writes of the wire: played back, each machine says what it said, and no key is in it.
 * @module
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { VirtualClock } from '../../sim/clock.ts';
import { decodeLine, type RecordedLine } from '../../src/adapters/driver/recording.ts';
import { BfdSessions } from '../../src/adapters/wire/bfd-sessions.ts';
import type { FromWire, LivenessOptions } from '../../src/adapters/wire/messages.ts';
import { WireMachines } from '../../src/adapters/wire/wire-machines.ts';
import { WireRecording } from '../../src/apps/speaker/wire-recording.ts';
import { BFD_DEFAULTS } from '../../src/core/bfd/fsm.ts';
import type { BfdTarget } from '../../src/core/bgp/peers/bfd-target.ts';
import type { Message } from '../../src/core/liveness/messages.ts';
import { parseAddress } from '../../src/core/net/address.ts';
import { replay } from '../replay/replay.ts';

const SECRET = Buffer.from('a key of the speakers');
const NODES = ['node-1', 'node-2'] as const;
type Node = (typeof NODES)[number];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'metallb-recording-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const pass = (clock: VirtualClock, milliseconds: number) => clock.runUntil(clock.now() + milliseconds, () => {});

/** Writes to the disk what `act` records, and gives the path of each file's contents. */
async function recorded(act: (record: (of: string, line: RecordedLine) => void) => void): Promise<Map<string, string>> {
  const recording = new WireRecording(join(directory, 'speaker.jsonl'));
  act((of, line) => recording.write({ kind: 'recorded', of, line }));
  await new Promise<void>((resolve) => recording.close(resolve));
  return new Map(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')]));
}

const said = <T>(recording: string): T[] => replay(recording).flatMap((line) => decodeLine(line) as T[]);

it('layer 2 and liveness say again what they said, and the key is not in it', async () => {
  const sent: { readonly frames: Uint8Array[]; readonly messages: Message[] } = { frames: [], messages: [] };
  const files = await recorded((record) => {
    const clock = new VirtualClock();
    const link = { name: 'eth0', index: 2, mac: Uint8Array.of(2, 0, 0, 0, 0, 1), arp: true, ndp: true };
    const machines = new Map<Node, WireMachines>();
    for (const self of NODES) {
      const isRecorded = self === 'node-1';
      const liveness: LivenessOptions = {
        ...{ self, incarnation: 1n, interval: 100, misses: 3, fenced: false },
        ...{ bindAddress: '192.0.2.1', port: 7946, secrets: [SECRET] },
      };
      const layer2 = { refreshInterval: 0, probeBeforeUse: false, answerPing: false };
      const machine = new WireMachines(
        { layer2, liveness },
        {
          clock,
          readLinks: () => ({ names: ['eth0'], fit: [link], gateways: [] }),
          openLinks: (links) => links,
          sendFrame: ({ bytes }) => {
            if (isRecorded) sent.frames.push(bytes);
          },
          joinGroups: () => {},
          sendMessage: (message, to) => {
            if (isRecorded) sent.messages.push(message);
            clock.after(1, () => machines.get(to.node as Node)?.messageReceived(message));
          },
          report: () => {},
          record: isRecorded ? record : undefined,
        },
      );
      machines.set(self, machine);
      const members = NODES.map((node, i) => ({ node, address: `192.0.2.${i + 1}` }));
      machine.take({ kind: 'members', members });
      machine.take({ kind: 'ready' });
    }
    pass(clock, 1000);
    machines.get('node-1')!.take({
      kind: 'announce',
      announcements: [{ address: parseAddress('198.51.100.1')! }],
      handingOver: [],
    });
    pass(clock, 1000);
    machines.get('node-2')!.stop();
    machines.delete('node-2');
    pass(clock, 3000);
    machines.get('node-1')!.take({ kind: 'leave' });
  });
  expect([...files.keys()]).toEqual(['speaker.jsonl.layer2', 'speaker.jsonl.liveness']);
  const frames = said<{ kind: string; bytes: Uint8Array }>(files.get('speaker.jsonl.layer2')!);
  expect(sent.frames.length).toBeGreaterThan(2);
  expect(frames.filter(({ kind }) => kind === 'send').map(({ bytes }) => bytes)).toEqual(sent.frames);
  const messages = said<{ kind: string; message: Message }>(files.get('speaker.jsonl.liveness')!);
  expect(sent.messages.length).toBeGreaterThan(20);
  expect(messages.filter(({ kind }) => kind === 'send-message').map(({ message }) => message)).toEqual(sent.messages);
  const text = [...files.values()].join('\n');
  for (const encoding of ['utf8', 'hex', 'base64'] as const) expect(text).not.toContain(SECRET.toString(encoding));
});

it('BFD says again what it said, each session in a file of its own and after a change of its settings as well', async () => {
  const told: string[] = [];
  const files = await recorded((record) => {
    const clock = new VirtualClock();
    const ends = new Map<Node, BfdSessions>();
    for (const [i, node] of NODES.entries()) {
      const own = parseAddress(`192.0.2.${i + 1}`);
      const other = NODES[1 - i]!;
      const isRecorded = node === 'node-1';
      const sessions = new BfdSessions({
        clock,
        network: {
          open: () => ({
            send: (bytes) => clock.after(1, () => ends.get(other)!.packetReceived(bytes, own, false)),
            close: () => {},
          }),
          admit: () => {},
          sendEcho: () => false,
        },
        report: (fact: FromWire) => {
          if (isRecorded && fact.kind === 'bfd-changed' && fact.administrative !== true)
            told.push(fact.up ? 'bfd-up' : 'bfd-down');
        },
        onTrouble: (on, error) => expect.fail(`${on}: ${error.message}`),
        record: isRecorded ? (peer, line) => record(`bfd.${peer}`, line) : undefined,
      });
      ends.set(node, sessions);
      sessions.set([target(other, i === 0 ? '192.0.2.2' : '192.0.2.1')]);
    }
    pass(clock, 5000);
    ends.get('node-1')!.set([{ ...target('node-2', '192.0.2.2'), transmitInterval: 100 }]);
    pass(clock, 5000);
    ends.get('node-2')!.packetReceived = () => {};
    ends.get('node-2')!.set([]);
    pass(clock, 5000);
  });
  const recording = files.get('speaker.jsonl.bfd.node-2')!;
  expect(recording.match(/"machine":"bfd"/g)).toHaveLength(2);
  const changes = said<{ kind: string; administrative?: boolean }>(recording)
    .filter(({ kind, administrative }) => kind.startsWith('bfd-') && administrative !== true)
    .map(({ kind }) => kind);
  expect(told.slice(0, 2)).toEqual(['bfd-up', 'bfd-up']);
  expect(changes).toEqual(told);
});

function target(peer: string, address: string): BfdTarget {
  return {
    peer,
    address: parseAddress(address)!,
    ...{ zone: undefined, source: undefined, device: '', multihop: false, minimumTtl: 254 },
    ...{ ...BFD_DEFAULTS, passive: false, echoInterval: undefined, echoReceiveInterval: 0 },
  };
}
