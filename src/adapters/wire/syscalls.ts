/**
 * System calls that Node does not offer, through koffi. Linux only.
 * @module
 */
import koffi from 'koffi';

/** Constants from the Linux headers. */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const IPPROTO_IPV6 = 41;
export const IPV6_JOIN_GROUP = 20;
export const IPV6_LEAVE_GROUP = 21;
export const IPV6_MULTICAST_HOPS = 18;
export const IPV6_MULTICAST_LOOP = 19;
export const IPPROTO_ICMPV6 = 58;
const IPPROTO_IP = 0;
export const IPPROTO_TCP = 6;
const IP_TTL = 2;
const IP_MINTTL = 21;
const IPV6_MINHOPCOUNT = 73;
const SO_REUSEADDR = 2;
const BACKLOG = 64;
const IPV6_UNICAST_HOPS = 16;
export const IPV6_V6ONLY = 26;
export const TCP_MD5SIG = 14;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
const SO_ERROR = 4;
const SO_BINDTODEVICE = 25;
export const SO_ATTACH_FILTER = 26;
export const SO_RCVBUFFORCE = 33;
const POLLIN = 1;
const POLLOUT = 4;
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
const MSG_DONTWAIT = 0x40;

const libc = koffi.load('libc.so.6');
const libcCalls = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const uint8_t *address, uint32_t length)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int option, const uint8_t *value, uint32_t length)'),
  recv: libc.func('long recv(int fd, _Out_ uint8_t *buffer, size_t length, int flags)'),
  recvfrom: libc.func(
    'long recvfrom(int fd, _Out_ uint8_t *buffer, size_t length, int flags, _Out_ uint8_t *address, _Inout_ uint32_t *addressLength)',
  ),
  send: libc.func('long send(int fd, const uint8_t *buffer, size_t length, int flags)'),
  sendto: libc.func(
    'long sendto(int fd, const uint8_t *buffer, size_t length, int flags, const uint8_t *address, uint32_t addressLength)',
  ),
  poll: libc.func('int poll(_Inout_ uint8_t *fds, unsigned long count, int timeout)'),
  eventfd: libc.func('int eventfd(unsigned int initial, int flags)'),
  read: libc.func('long read(int fd, _Out_ uint8_t *buffer, size_t length)'),
  write: libc.func('long write(int fd, const uint8_t *buffer, size_t length)'),
  close: libc.func('int close(int fd)'),
  listen: libc.func('int listen(int fd, int backlog)'),
  connect: libc.func('int connect(int fd, const uint8_t *address, uint32_t length)'),
  getsockopt: libc.func(
    'int getsockopt(int fd, int level, int option, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
  ),
};

/** A system call that failed; `code` is the name of the error number (`EPERM` …). */
export class SystemCallError extends Error {
  readonly code: string;

  constructor(call: string) {
    const code = errorName();
    super(`${call}: ${code}`);
    this.code = code;
  }
}

/** The name of an error number, such as `ECONNREFUSED`. */
function errorName(errno: number = koffi.errno()): string {
  return Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
}

function checked(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call);
  return result;
}

export function socket(domain: number, type: number, protocol: number): number {
  return checked('socket', libcCalls.socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

export function bind(fd: number, address: Uint8Array): void {
  checked('bind', libcCalls.bind(fd, address, address.length));
}

export function setsockopt(fd: number, level: number, option: number, value: Uint8Array): void {
  checked('setsockopt', libcCalls.setsockopt(fd, level, option, value, value.length));
}

/** Sets a socket option of type int. */
export function setNumber(fd: number, level: number, option: number, value: number): void {
  setsockopt(fd, level, option, new Uint8Array(new Int32Array([value]).buffer));
}

/** Binds to an interface or VRF; needs NET_RAW. */
export function bindToDevice(fd: number, device: string): void {
  setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(`${device}\0`));
}

/** Sets the TTL or hop limit of outgoing packets. */
export function setTtl(fd: number, family: 'ipv4' | 'ipv6', value: number): void {
  if (family === 'ipv4') setNumber(fd, IPPROTO_IP, IP_TTL, value);
  else setNumber(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, value);
}

/** Lets the kernel drop packets that arrive with less (RFC 5082). TCP only. */
export function setLeastTtl(fd: number, family: 'ipv4' | 'ipv6', value: number): void {
  if (family === 'ipv4') setNumber(fd, IPPROTO_IP, IP_MINTTL, value);
  else setNumber(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, value);
}

/** Listens for streams, even on an address that was just in use. */
export function listenAt(fd: number, address: Uint8Array): void {
  setNumber(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  bind(fd, address);
  checked('listen', libcCalls.listen(fd, BACKLOG));
}

/** Starts to connect a stream; `connection` tells the result. */
export function connect(fd: number, address: Uint8Array): void {
  if (libcCalls.connect(fd, address, address.length) < 0 && errorName() !== 'EINPROGRESS')
    throw new SystemCallError('connect');
}

/** Whether it is open; the name of the error if it failed. */
export function connection(fd: number): 'pending' | 'open' | { readonly error: string } {
  if (pollFor([fd], POLLOUT, 0).length === 0) return 'pending';
  const value = new Uint8Array(4);
  libcCalls.getsockopt(fd, SOL_SOCKET, SO_ERROR, value, [4]);
  const number = new DataView(value.buffer).getInt32(0, true);
  return number === 0 ? 'open' : { error: errorName(number) };
}

/** Bytes received into the buffer, or undefined when there is nothing now (or the link is down). */
export function receive(fd: number, buffer: Uint8Array): number | undefined {
  const length = libcCalls.recv(fd, buffer, buffer.length, MSG_DONTWAIT);
  return length < 0 ? undefined : length;
}

/** Like receive, with the address of the sender as a struct sockaddr. */
export function receiveFrom(fd: number, buffer: Uint8Array): { length: number; address: Uint8Array } | undefined {
  const address = new Uint8Array(28);
  const length = libcCalls.recvfrom(fd, buffer, buffer.length, MSG_DONTWAIT, address, [address.length]);
  return length < 0 ? undefined : { length, address };
}

/** True if the kernel accepted the frame. */
export function send(fd: number, bytes: Uint8Array): boolean {
  return libcCalls.send(fd, bytes, bytes.length, MSG_DONTWAIT) >= 0;
}

export function sendTo(fd: number, bytes: Uint8Array, address: Uint8Array): boolean {
  return libcCalls.sendto(fd, bytes, bytes.length, MSG_DONTWAIT, address, address.length) >= 0;
}

export function close(fd: number): void {
  libcCalls.close(fd);
}

/** A counter that poll can wait for, by which other threads wake a blocked one. */
export function eventfd(): number {
  return checked('eventfd', libcCalls.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);
const EIGHT_BYTES = new Uint8Array(8);

export function signalEventfd(fd: number): void {
  libcCalls.write(fd, ONE, 8);
}

export function clearEventfd(fd: number): void {
  libcCalls.read(fd, EIGHT_BYTES, 8);
}

/** The memory address of the bytes, for structs that hold pointers. Keep them referenced during the call. */
export function addressOf(bytes: Uint8Array): bigint {
  return koffi.address(bytes);
}

/** Which of the descriptors are readable (or in error) within `timeout` milliseconds; -1 waits forever. */
export function poll(fds: readonly number[], timeout: number): readonly number[] {
  return pollFor(fds, POLLIN, timeout);
}

function pollFor(fds: readonly number[], events: number, timeout: number): readonly number[] {
  const table = new Uint8Array(fds.length * 8);
  const view = new DataView(table.buffer);
  for (const [i, fd] of fds.entries()) {
    view.setInt32(i * 8, fd, true);
    view.setInt16(i * 8 + 4, events, true);
  }
  if (libcCalls.poll(table, fds.length, timeout) <= 0) return [];
  return fds.filter((_, i) => view.getInt16(i * 8 + 6, true) !== 0);
}
