/**
 * The real-time thread: one poll loop over the raw sockets, the liveness socket and the wake-up descriptor.
 * Nothing here waits for the main thread.
 * @module
 */
import { readlinkSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Interface } from '../../core/layer2/messages.ts';
import { decodeMessage, encodeMessage } from '../../core/liveness/codec.ts';
import type { Member, Message } from '../../core/liveness/messages.ts';
import { type IpAddress, parseAddress } from '../../core/net/address.ts';
import { PollClock } from '../driver/poll-clock.ts';
import type { RecordedLine } from '../driver/recording.ts';
import { batch } from './batch.ts';
import { BfdSockets } from './bfd-network.ts';
import { BfdSessions } from './bfd-sessions.ts';
import { openDatagramSocket } from './datagram-socket.ts';
import { readLinks } from './links.ts';
import { livenessFilter } from './liveness-filter.ts';
import type { FromWire, Refusal, ToWire, WireOptions, WirePart } from './messages.ts';
import { MulticastGroups } from './multicast-groups.ts';
import { drainNetlink, openNetlinkSocket } from './netlink-socket.ts';
import { openPacketSocket, type PacketProtocol } from './packet-socket.ts';
import { RouterDiscovery } from './router-discovery.ts';
import { createSeal } from './seal.ts';
import { clearEventfd, close, poll, receive, type SystemCallError, send } from './syscalls.ts';
import { Tally } from './tally.ts';
import { WireMachines } from './wire-machines.ts';

const port = parentPort!;
const options = workerData as WireOptions;
const clock = new PollClock();
const report = (message: FromWire) => port.postMessage(message);
const recorder = options.isRecorded
  ? (of: string, line: RecordedLine) => report({ kind: 'recorded', of, line })
  : undefined;

const faults = new Tally<{ where: WirePart; error: string }>(clock, (fault, times) =>
  report({ kind: 'fault', ...fault, times }),
);
const refusals = new Tally<Refusal>(clock, (why, times) => report({ kind: 'refused', why, times }));

function onFault(where: WirePart, error: unknown): void {
  const { stack, message } = error instanceof Error ? error : new Error(String(error));
  faults.add(`${where} ${message}`, { where, error: stack ?? message });
}

/** Whatever comes in, this thread goes on: without it the node's addresses would fall silent. */
function guarded(where: WirePart, run: () => void): void {
  try {
    run();
  } catch (error) {
    onFault(where, error);
  }
}

interface PacketSocket {
  readonly fd: number;
  readonly interface: number;
}

/** By protocol and interface index. */
const sockets = new Map<string, PacketSocket>();
const socketKey = (protocol: PacketProtocol, index: number) => `${protocol} ${index}`;
const groups = new MulticastGroups(({ interface: index, group }, error) => {
  const { code, message } = error as SystemCallError;
  report({ kind: 'failed', what: 'multicast-group', on: `${group} on interface ${index}`, code, message });
});
const buffer = new Uint8Array(2048);
let running = true;

/** The protocols to listen for, and the capability a link needs for each. */
const PROTOCOLS: readonly (readonly [PacketProtocol, 'arp' | 'ndp'])[] = [
  ['arp', 'arp'],
  ['ndp', 'ndp'],
  ...(options.layer2.answerPing
    ? ([
        ['echo4', 'arp'],
        ['echo6', 'ndp'],
      ] as const)
    : []),
];

/** Sockets are open before the machine hears of a link, so that its first frames can be sent. */
function openLinks(links: readonly Interface[]): readonly Interface[] {
  const wanted = new Map<string, { protocol: PacketProtocol; index: number; name: string }>();
  for (const { index, name, ...fitFor } of links)
    for (const [protocol, family] of PROTOCOLS)
      if (fitFor[family]) wanted.set(socketKey(protocol, index), { protocol, index, name });
  for (const [key, { fd }] of sockets) {
    if (wanted.has(key)) continue;
    close(fd);
    sockets.delete(key);
  }
  for (const [key, { protocol, index, name }] of wanted) {
    if (sockets.has(key)) continue;
    try {
      sockets.set(key, { fd: openPacketSocket(protocol, index), interface: index });
    } catch (error) {
      const { code, message } = error as SystemCallError;
      report({ kind: 'failed', what: 'raw-socket', on: name, code, message });
    }
  }
  return links.map((link) => ({
    ...link,
    arp: sockets.has(socketKey('arp', link.index)),
    ndp: sockets.has(socketKey('ndp', link.index)),
  }));
}

function openNetlink(): number | undefined {
  try {
    return openNetlinkSocket();
  } catch (error) {
    const { code, message } = error as SystemCallError;
    report({ kind: 'failed', what: 'netlink-socket', on: 'this node', code, message });
    return undefined;
  }
}

/** The liveness socket; undefined when the speaker runs without a speaker list. */
function openLiveness() {
  if (options.liveness === undefined) return undefined;
  const { self, bindAddress, port: portNumber, secrets } = options.liveness;
  let seal = createSeal(secrets);
  let socket: ReturnType<typeof openDatagramSocket>;
  try {
    socket = openDatagramSocket(bindAddress, portNumber);
  } catch (error) {
    const { code, message } = error as SystemCallError;
    report({ kind: 'failed', what: 'liveness-socket', on: `${bindAddress}:${portNumber}`, code, message });
    return undefined;
  }
  // On all addresses, whoever sends may choose another one of his than the one that the API knows.
  const isBoundToOne = !/^[0:.]*$/.test(bindAddress);
  let sources: readonly IpAddress[] = [];
  const filter = () => {
    try {
      socket.filter(livenessFilter({ ...seal.mark(self), sources }));
    } catch (error) {
      onFault('datagrams', error);
    }
  };
  filter();
  return {
    fd: socket.fd,
    useSecrets: (wanted: readonly Uint8Array[]) => {
      seal = createSeal(wanted);
      filter();
    },
    useMembers: (members: readonly Member[]) => {
      if (!isBoundToOne) return;
      sources = members.flatMap(({ address }) => parseAddress(address) ?? []);
      filter();
    },
    send: (message: Message, to: Member) => {
      socket.send(seal.seal(encodeMessage(message), to.node), to.address);
    },
    drain: () => {
      for (const length of batch(() => receive(socket.fd, buffer))) {
        const content = seal.open(buffer.slice(0, length), self);
        const decoded = content === undefined ? { ok: false as const, error: 'seal' as const } : decodeMessage(content);
        if (decoded.ok) machines.messageReceived(decoded.message);
        else refusals.add(decoded.error, decoded.error);
      }
    },
    close: () => close(socket.fd),
  };
}

function drainPackets({ fd, interface: index }: PacketSocket): void {
  for (const length of batch(() => receive(fd, buffer))) machines.frameReceived(index, buffer.slice(0, length));
}

function takeMessages(): void {
  for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
    const message = received.message as ToWire;
    guarded('messages', () => take(message));
  }
}

function take(message: ToWire): void {
  switch (message.kind) {
    case 'stop':
      running = false;
      break;
    case 'secrets':
      liveness?.useSecrets(message.secrets);
      break;
    case 'bfd':
      bfd.set(message.targets);
      break;
    case 'discover':
      discovery.set(message.interfaces);
      break;
    default:
      if (message.kind === 'members') liveness?.useMembers(message.members);
      machines.take(message);
  }
}

const liveness = openLiveness();
// Opened before the links are first read, so that no later change is missed.
const netlink = openNetlink();
const machines = new WireMachines(
  { layer2: options.layer2, liveness: liveness && options.liveness },
  {
    clock,
    readLinks: () => readLinks(options.excludeLinks),
    openLinks,
    sendFrame: ({ protocol, interface: index, bytes }) => {
      const socket = sockets.get(socketKey(protocol, index));
      if (socket !== undefined) send(socket.fd, bytes);
    },
    joinGroups: (wanted) => groups.set(wanted),
    sendMessage: (message, to) => liveness?.send(message, to),
    report,
    record: recorder,
    onFault,
  },
);
const bfdSockets = new BfdSockets();
const bfd = new BfdSessions({
  clock,
  network: bfdSockets,
  record: recorder && ((peer, line) => recorder(`bfd.${peer}`, line)),
  report,
  onFault: (error) => onFault('bfd', error),
  onTrouble: (on, { code, message }) => report({ kind: 'failed', what: 'bfd-socket', on, code, message }),
});
const discovery = new RouterDiscovery(clock, report, (on, { code, message }) =>
  report({ kind: 'failed', what: 'discovery-socket', on, code, message }),
);
report({ kind: 'ready', threadId: Number(readlinkSync('/proc/thread-self').split('/').at(-1)) });

while (running) {
  const fds = [options.wakeFd, ...[...sockets.values()].map(({ fd }) => fd)];
  for (const fd of [liveness?.fd, netlink, ...bfdSockets.fds, ...discovery.fds]) if (fd !== undefined) fds.push(fd);
  const readable = new Set(poll(fds, clock.timeout));
  if (readable.has(options.wakeFd)) {
    clearEventfd(options.wakeFd);
    takeMessages();
  }
  if (netlink !== undefined && readable.has(netlink)) {
    drainNetlink(netlink, buffer);
    guarded('links', () => machines.linksChanged());
  }
  for (const socket of sockets.values()) if (readable.has(socket.fd)) guarded('frames', () => drainPackets(socket));
  guarded('datagrams', () => liveness?.drain());
  guarded('bfd', () => bfdSockets.drain(bfd));
  guarded('discovery', () => discovery.drain());
  // Timers last: a peer whose message has arrived must not be declared dead because we were late.
  guarded('timers', () => clock.runDue());
}

for (const { fd } of sockets.values()) close(fd);
groups.close();
if (netlink !== undefined) close(netlink);
liveness?.close();
bfd.close();
bfdSockets.close();
discovery.close();
port.close();
