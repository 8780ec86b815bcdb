import { afterEach, expect, it } from 'vitest';
import { parseAddress } from '../../core/net/address.ts';
import { openDatagramSocket, socketAddress } from './datagram-socket.ts';
import { type LivenessFilter, livenessFilter } from './liveness-filter.ts';
import { AF_INET, AF_INET6, bind, close, poll, receive, SOCK_DGRAM, sendTo, socket } from './syscalls.ts';

const PORT = 20_000 + (process.pid % 10_000);
const MARK = 0xcafe0001;
const open: number[] = [];
afterEach(() => {
  for (const fd of open.splice(0)) close(fd);
});

/** Numbers of the datagrams that come through, of those that are sent: in their last byte. */
function through(bindAddress: string, filter: LivenessFilter, sent: readonly (readonly [string, Uint8Array])[]) {
  const receiver = openDatagramSocket(bindAddress, PORT);
  open.push(receiver.fd);
  receiver.filter(livenessFilter(filter));
  for (const [from, bytes] of sent) {
    const address = parseAddress(from)!;
    const fd = socket(address.family === 'ipv4' ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
    open.push(fd);
    bind(fd, socketAddress(address, 0));
    expect(sendTo(fd, bytes, socketAddress(parseAddress(address.family === 'ipv4' ? '127.0.0.1' : '::1')!, PORT))).toBe(
      true,
    );
  }
  const numbers: number[] = [];
  const buffer = new Uint8Array(2048);
  // What is sent on loopback has arrived when the call returns.
  while (poll([receiver.fd], 0).length > 0) numbers.push(buffer[receive(receiver.fd, buffer)! - 1]!);
  for (const fd of open.splice(0)) close(fd);
  return numbers;
}

function datagram(mark: number, length: number, number: number): Uint8Array {
  const bytes = Buffer.alloc(length);
  if (length >= 4) bytes.writeUInt32BE(mark);
  bytes[length - 1] = number;
  return bytes;
}

const filter = (more: Partial<LivenessFilter> = {}): LivenessFilter => ({
  prefixes: [MARK, MARK + 1],
  leastBytes: 30,
  sources: [],
  ...more,
});
const addresses = (...texts: readonly string[]) => texts.map((text) => parseAddress(text)!);

it('lets through what begins with one of the marks and is long enough', () => {
  const sent = [
    ['127.0.0.1', datagram(MARK, 30, 1)],
    ['127.0.0.1', datagram(MARK + 1, 1400, 2)],
    ['127.0.0.1', datagram(MARK + 2, 1400, 3)],
    ['127.0.0.1', datagram(MARK, 29, 4)],
    ['127.0.0.1', datagram(MARK, 2, 5)],
    ['::1', datagram(MARK, 30, 6)],
    ['::1', datagram(7, 30, 7)],
  ] as const;
  expect(through('::', filter(), sent)).toEqual([1, 2, 6]);
});

it('lets through what comes from a member, of either family', () => {
  const sources = addresses('192.0.2.1', '127.0.0.2', '2001:db8::1', '::1', '127.0.0.3');
  const sent = [
    ['127.0.0.1', datagram(MARK, 30, 1)],
    ['127.0.0.2', datagram(MARK, 30, 2)],
    ['127.0.0.3', datagram(MARK, 30, 3)],
    ['::1', datagram(MARK, 30, 4)],
    ['127.0.0.2', datagram(9, 30, 5)],
  ] as const;
  expect(through('::', filter({ sources }), sent)).toEqual([2, 3, 4]);
  expect(through('127.0.0.1', filter({ sources: addresses('127.0.0.2') }), sent.slice(0, 2))).toEqual([2]);
  expect(through('::1', filter({ sources: addresses('2001:db8::1') }), [sent[3]])).toEqual([]);
});

it.each([500, 5000])('is one that the kernel takes with %i members', (count) => {
  const sources = Array.from({ length: count }, (_, i) => parseAddress(`10.0.${i >> 8}.${i & 255}`)!);
  const sent = [['127.0.0.1', datagram(MARK, 30, 1)] as const];
  expect(through('127.0.0.1', filter({ sources: [...sources, ...addresses('127.0.0.1')] }), sent)).toEqual([1]);
});
