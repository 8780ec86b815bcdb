/**
 * The real-time thread: one poll loop over the raw sockets, the liveness socket and the wake-up descriptor.
 * Nothing here waits for the main thread.
 * @module
 */
import { readlinkSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { layer2Machine } from '../../core/layer2/fsm.ts';
import {
  initialLayer2,
  type Layer2Counter,
  type Layer2Input,
  type Layer2Output,
  type Layer2State,
} from '../../core/layer2/state.ts';
import { decodeMessage, encodeMessage } from '../../core/liveness/codec.ts';
import { type LivenessInput, livenessMachine } from '../../core/liveness/fsm.ts';
import { initialLiveness, type LivenessOutput, livenessView, peerReports } from '../../core/liveness/state.ts';
import { earliest, type Tick } from '../../core/machine.ts';
import { formatAddress } from '../../core/net/address.ts';
import { formatMac } from '../../core/net/mac.ts';
import { batch } from './batch.ts';
import { BfdSessions } from './bfd-sessions.ts';
import { openDatagramSocket } from './datagram-socket.ts';
import type { FromWire, ToWire, WireOptions } from './messages.ts';
import { MulticastGroups } from './multicast-groups.ts';
import { drainNetlink, openNetlinkSocket } from './netlink-socket.ts';
import { openPacketSocket, type PacketProtocol } from './packet-socket.ts';
import { RouterDiscovery } from './router-discovery.ts';
import { createSeal } from './seal.ts';
import { clearEventfd, close, poll, receive, type SystemCallError, send } from './syscalls.ts';

/** Milliseconds per node between two views of the cluster: five thousand nodes are looked through ten times a second at most. */
const VIEW_PAUSE = 0.02;
/** Milliseconds between reports of counters. */
const REPORT_INTERVAL = 1000;

const port = parentPort!;
const options = workerData as WireOptions;
const now = () => performance.now();
const report = (message: FromWire) => port.postMessage(message);

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
const counts = new Map<string, { counter: Layer2Counter; address: string; by: number }>();
let reportAt = Number.POSITIVE_INFINITY;
let layer2: Layer2State = initialLayer2(options.layer2);
let running = true;

function feedLayer2(input: Layer2Input | Tick): void {
  const { next, outputs } = layer2Machine.step(layer2, input, now());
  layer2 = next;
  for (const output of outputs) performLayer2(output);
}

function performLayer2(output: Layer2Output): void {
  switch (output.kind) {
    case 'send': {
      const socket = sockets.get(socketKey(output.protocol, output.interface));
      if (socket !== undefined) send(socket.fd, output.bytes);
      return;
    }
    case 'groups':
      groups.set(output.groups);
      return;
    case 'conflict':
    case 'conflict-ended':
    case 'all-handed-over':
      report(output);
      return;
    case 'counted':
      count(output);
  }
}

function count({ counter, address, by }: Extract<Layer2Output, { kind: 'counted' }>): void {
  const key = `${counter} ${address}`;
  const entry = counts.get(key) ?? { counter, address, by: 0 };
  entry.by += by;
  counts.set(key, entry);
  if (reportAt === Number.POSITIVE_INFINITY) reportAt = now() + REPORT_INTERVAL;
}

/** What is listened for, and what a link has to be fit for. */
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

/** Sockets follow the links before the machine hears of them, so that its first frames have a way out. */
function useInterfaces(message: Extract<ToWire, { kind: 'interfaces' }>): void {
  const wanted = new Map<string, { protocol: PacketProtocol; index: number; name: string }>();
  for (const { index, name, ...fitFor } of message.interfaces)
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
  const interfaces = message.interfaces.map((link) => ({
    ...link,
    arp: sockets.has(socketKey('arp', link.index)),
    ndp: sockets.has(socketKey('ndp', link.index)),
  }));
  feedLayer2({ kind: 'interfaces', interfaces });
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

/** Everything about liveness; absent when the speaker runs without a speaker list. */
function openLiveness() {
  const settings = options.liveness;
  if (settings === undefined) return undefined;
  const { self, bindAddress, port: portNumber } = settings;
  const seal = createSeal(settings.secret);
  const state = initialLiveness(settings);
  let socket: ReturnType<typeof openDatagramSocket>;
  try {
    socket = openDatagramSocket(bindAddress, portNumber);
  } catch (error) {
    const { code, message } = error as SystemCallError;
    report({ kind: 'failed', what: 'liveness-socket', on: `${bindAddress}:${portNumber}`, code, message });
    return undefined;
  }
  const perform = (output: LivenessOutput) => {
    switch (output.kind) {
      case 'send-message':
        socket.send(seal.seal(encodeMessage(output.message), output.to.node), output.to.address);
        return;
      case 'view-changed':
        isViewNew = true;
        return;
      case 'node-changed':
        if (output.state === 'dead') lastDeath = { at: now(), detect: output.silentFor };
    }
    report(output);
  };
  let isViewNew = false;
  let viewAt = 0;
  const feed = (input: LivenessInput | Tick) => {
    for (const output of livenessMachine.step(state, input, now()).outputs) perform(output);
  };
  const drain = () => {
    for (const length of batch(() => receive(socket.fd, buffer))) {
      const content = seal.open(buffer.slice(0, length), self);
      const decoded = content && decodeMessage(content);
      if (decoded?.ok) feed({ kind: 'received', message: decoded.message });
    }
  };
  /** Once in a round, however much has changed in it; and less often the more nodes it is about. */
  const tellView = () => {
    if (!isViewNew || now() < viewAt) return;
    isViewNew = false;
    const view = livenessView(state);
    report({ kind: 'liveness', view });
    viewAt = now() + view.nodes.length * VIEW_PAUSE;
    const macs = view.nodes.flatMap(({ node, links }) =>
      node === self ? [] : (links ?? []).map(({ mac }) => formatMac(mac)),
    );
    feedLayer2({ kind: 'siblings', macs: new Set(macs) });
  };
  feed({ kind: 'start' });
  return {
    fd: socket.fd,
    feed,
    drain,
    tellView,
    deadline: () =>
      earliest([livenessMachine.nextDeadline(state), isViewNew ? { at: viewAt, why: 'tell the election' } : undefined]),
    reports: () => peerReports(state, now()),
    close: () => close(socket.fd),
  };
}

/** The last death of another speaker, as far as its addresses have not been taken over yet. */
let lastDeath: { readonly at: number; readonly detect: number | undefined } | undefined;
/** Milliseconds after a death in which what is newly announced is taken to be its legacy. */
const LEGACY = 5000;

function announce(message: Extract<ToWire, { kind: 'announce' }>): void {
  const began = now();
  const isMore = message.announcements.some(({ address }) => !layer2.owned.has(formatAddress(address)));
  feedLayer2(message);
  if (!isMore || lastDeath === undefined || began - lastDeath.at > LEGACY) return;
  const { at, detect = 0 } = lastDeath;
  lastDeath = undefined;
  report({ kind: 'failed-over', phases: { detect, elect: began - at, announce: now() - began } });
}

function drainPackets({ fd, interface: index }: PacketSocket): void {
  for (const length of batch(() => receive(fd, buffer)))
    feedLayer2({ kind: 'frame-received', interface: index, bytes: buffer.slice(0, length) });
}

function takeMessages(): void {
  for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
    const message = received.message as ToWire;
    switch (message.kind) {
      case 'stop':
        running = false;
        break;
      case 'interfaces':
        useInterfaces(message);
        liveness?.feed({ kind: 'links', links: message.interfaces.map(({ name, mac }) => ({ name, mac })) });
        break;
      case 'bfd':
        bfd.set(message.targets);
        if (message.targets.length > 0 && reportAt === Number.POSITIVE_INFINITY) reportAt = now() + REPORT_INTERVAL;
        break;
      case 'discover':
        discovery.set(message.interfaces);
        break;
      case 'leave':
        // First the others, who have to move.
        liveness?.feed(message);
        feedLayer2(message);
        break;
      case 'ready':
      case 'unheard':
      case 'members':
        liveness?.feed(message);
        break;
      case 'announce':
        announce(message);
    }
  }
}

function reportCounts(): void {
  if (counts.size > 0) report({ kind: 'counts', counts: [...counts.values()] });
  counts.clear();
  if (liveness !== undefined) report({ kind: 'peers', peers: liveness.reports() });
  const bfdCounts = bfd.takeCounts();
  if (bfdCounts.length > 0) report({ kind: 'bfd-counts', counts: bfdCounts });
  const isOver = liveness === undefined && bfdCounts.length === 0;
  reportAt = isOver ? Number.POSITIVE_INFINITY : now() + REPORT_INTERVAL;
}

const liveness = openLiveness();
const bfd = new BfdSessions(now, report, (on, { code, message }) =>
  report({ kind: 'failed', what: 'bfd-socket', on, code, message }),
);
const discovery = new RouterDiscovery(now, report, (on, { code, message }) =>
  report({ kind: 'failed', what: 'discovery-socket', on, code, message }),
);
const netlink = openNetlink();
if (liveness !== undefined) reportAt = now() + REPORT_INTERVAL;
report({ kind: 'ready', threadId: Number(readlinkSync('/proc/thread-self').split('/').at(-1)) });

while (running) {
  const fds = [options.wakeFd, ...[...sockets.values()].map(({ fd }) => fd)];
  for (const fd of [liveness?.fd, netlink, ...bfd.fds, ...discovery.fds]) if (fd !== undefined) fds.push(fd);
  const next = earliest([
    layer2Machine.nextDeadline(layer2),
    liveness?.deadline(),
    bfd.deadline(),
    discovery.deadline(),
    reportAt === Number.POSITIVE_INFINITY ? undefined : { at: reportAt, why: 'report' },
  ]);
  const timeout = next === undefined ? -1 : Math.max(0, Math.ceil(next.at - now()));
  const readable = new Set(poll(fds, timeout));
  if (readable.has(options.wakeFd)) {
    clearEventfd(options.wakeFd);
    takeMessages();
  }
  if (netlink !== undefined && readable.has(netlink)) {
    drainNetlink(netlink, buffer);
    report({ kind: 'links-changed' });
  }
  for (const socket of sockets.values()) if (readable.has(socket.fd)) drainPackets(socket);
  // Whoever has just spoken must not be declared dead because we were late: listen first, judge afterwards.
  liveness?.drain();
  bfd.drain();
  bfd.drainEchoes();
  bfd.tick();
  discovery.drain();
  discovery.tick();
  liveness?.feed({ kind: 'tick' });
  liveness?.tellView();
  feedLayer2({ kind: 'tick' });
  if (now() >= reportAt) reportCounts();
}

for (const { fd } of sockets.values()) close(fd);
groups.close();
if (netlink !== undefined) close(netlink);
liveness?.close();
bfd.close();
discovery.close();
port.close();
