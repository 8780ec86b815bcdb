/**
 * The real-time thread: one poll loop over the raw sockets, the heartbeat socket and the wake-up descriptor.
 * Nothing here waits for the main thread.
 * @module
 */
import { readlinkSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import {
  INITIAL_LAYER2,
  type Layer2Counter,
  type Layer2Input,
  type Layer2Output,
  type Layer2State,
  layer2Machine,
} from '../../core/layer2/fsm.ts';
import { decodeHeartbeat, encodeHeartbeat } from '../../core/liveness/codec.ts';
import {
  initialLiveness,
  type LivenessInput,
  type LivenessOutput,
  type LivenessState,
  livenessMachine,
} from '../../core/liveness/fsm.ts';
import { earliest, type Tick } from '../../core/machine.ts';
import { addressToBytes, parseAddress } from '../../core/net/address.ts';
import { openArpSocket } from './arp-socket.ts';
import type { FromWire, ToWire, WireOptions } from './messages.ts';
import { createSeal } from './seal.ts';
import {
  AF_INET,
  bind,
  clearEventfd,
  close,
  poll,
  receive,
  SOCK_DGRAM,
  type SystemCallError,
  send,
  sendTo,
  socket,
} from './syscalls.ts';

/** Frames taken from one socket before the others get their turn. */
const BATCH = 64;
/** Milliseconds between reports of counters. */
const REPORT_INTERVAL = 1000;

const port = parentPort!;
const options = workerData as WireOptions;
const now = () => performance.now();
const report = (message: FromWire) => port.postMessage(message);

const arpSockets = new Map<number, number>();
const buffer = new Uint8Array(2048);
const counts = new Map<string, { counter: Layer2Counter; address: string; by: number }>();
let reportAt = Number.POSITIVE_INFINITY;
let layer2: Layer2State = INITIAL_LAYER2;
let running = true;

function feedLayer2(input: Layer2Input | Tick): void {
  const { next, outputs } = layer2Machine.step(layer2, input, now());
  layer2 = next;
  for (const output of outputs) performLayer2(output);
}

function performLayer2(output: Layer2Output): void {
  if (output.kind === 'send') {
    const fd = arpSockets.get(output.interface);
    if (fd !== undefined) send(fd, output.bytes);
    return;
  }
  const key = `${output.counter} ${output.address}`;
  const count = counts.get(key) ?? { counter: output.counter, address: output.address, by: 0 };
  count.by += output.by;
  counts.set(key, count);
  if (reportAt === Number.POSITIVE_INFINITY) reportAt = now() + REPORT_INTERVAL;
}

/** Sockets follow the links before the machine hears of them, so that its first frames have a way out. */
function useInterfaces(message: Extract<ToWire, { kind: 'interfaces' }>): void {
  const wanted = new Map(message.interfaces.map((link) => [link.index, link]));
  for (const [index, fd] of arpSockets) {
    if (wanted.has(index)) continue;
    close(fd);
    arpSockets.delete(index);
  }
  for (const { index, name } of wanted.values()) {
    if (arpSockets.has(index)) continue;
    try {
      arpSockets.set(index, openArpSocket(index));
    } catch (error) {
      const { code, message } = error as SystemCallError;
      report({ kind: 'failed', what: 'raw-socket', on: name, code, message });
    }
  }
  feedLayer2({ kind: 'interfaces', interfaces: message.interfaces.filter(({ index }) => arpSockets.has(index)) });
}

/** Everything about heartbeats; absent when the speaker runs without a speaker list. */
function openLiveness() {
  const settings = options.liveness;
  if (settings === undefined) return undefined;
  const seal = createSeal(settings.secret);
  let state: LivenessState = initialLiveness(settings);
  let fd: number;
  try {
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    bind(fd, internetAddress(settings.bindAddress, settings.port));
  } catch (error) {
    const { code, message } = error as SystemCallError;
    report({ kind: 'failed', what: 'liveness-socket', on: `${settings.bindAddress}:${settings.port}`, code, message });
    return undefined;
  }
  const perform = (output: LivenessOutput) => {
    if (output.kind !== 'send-heartbeat') {
      report(output);
      return;
    }
    const datagram = seal.seal(encodeHeartbeat(output.heartbeat));
    for (const address of output.to) if (isIpv4(address)) sendTo(fd, datagram, internetAddress(address, settings.port));
  };
  const feed = (input: LivenessInput | Tick) => {
    const { next, outputs } = livenessMachine.step(state, input, now());
    state = next;
    for (const output of outputs) perform(output);
  };
  const drain = () => {
    for (let i = 0; i < BATCH; i++) {
      const length = receive(fd, buffer);
      if (length === undefined) return;
      const content = seal.open(buffer.slice(0, length));
      const decoded = content && decodeHeartbeat(content);
      if (decoded?.ok) feed({ kind: 'heartbeat-received', heartbeat: decoded.heartbeat });
    }
  };
  feed({ kind: 'start' });
  return { fd, feed, drain, deadline: () => livenessMachine.nextDeadline(state), close: () => close(fd) };
}

function isIpv4(text: string): boolean {
  return parseAddress(text)?.family === 'ipv4';
}

/** struct sockaddr_in. */
function internetAddress(text: string, portNumber: number): Uint8Array {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, portNumber, false);
  address.set(addressToBytes(parseAddress(text)!), 4);
  return address;
}

function drainArp(index: number, fd: number): void {
  for (let i = 0; i < BATCH; i++) {
    const length = receive(fd, buffer);
    if (length === undefined) return;
    feedLayer2({ kind: 'frame-received', interface: index, bytes: buffer.slice(0, length) });
  }
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
        break;
      case 'members':
        liveness?.feed(message);
        break;
      case 'announce':
        feedLayer2(message);
    }
  }
}

function reportCounts(): void {
  report({ kind: 'counts', counts: [...counts.values()] });
  counts.clear();
  reportAt = Number.POSITIVE_INFINITY;
}

const liveness = openLiveness();
report({ kind: 'ready', threadId: Number(readlinkSync('/proc/thread-self').split('/').at(-1)) });

while (running) {
  const fds = [options.wakeFd, ...(liveness === undefined ? [] : [liveness.fd]), ...arpSockets.values()];
  const next = earliest([
    layer2Machine.nextDeadline(layer2),
    liveness?.deadline(),
    reportAt === Number.POSITIVE_INFINITY ? undefined : { at: reportAt, why: 'counters' },
  ]);
  const timeout = next === undefined ? -1 : Math.max(0, Math.ceil(next.at - now()));
  const readable = new Set(poll(fds, timeout));
  if (readable.has(options.wakeFd)) {
    clearEventfd(options.wakeFd);
    takeMessages();
  }
  for (const [index, fd] of arpSockets) if (readable.has(fd)) drainArp(index, fd);
  // Whoever has just spoken must not be declared dead because we were late: listen first, judge afterwards.
  liveness?.drain();
  liveness?.feed({ kind: 'tick' });
  feedLayer2({ kind: 'tick' });
  if (now() >= reportAt) reportCounts();
}

for (const fd of arpSockets.values()) close(fd);
liveness?.close();
port.close();
