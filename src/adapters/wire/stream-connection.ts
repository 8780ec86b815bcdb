/**
 * TCP connections with options that Node lacks: a source address, an interface or VRF, TCP-MD5 (RFC 2385) and a TTL, all set before the
 * first packet. Once open, it is an ordinary Node socket.
 * @module
 */
import { createServer, Socket } from 'node:net';
import type { IpAddress, IpFamily } from '../../core/net/address.ts';
import { socketAddress } from './datagram-socket.ts';
import { interfaceIndex } from './interface-index.ts';
import {
  AF_INET,
  AF_INET6,
  bind,
  bindToDevice,
  close,
  connect,
  connection,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  listenAt,
  SOCK_STREAM,
  type SystemCallError,
  setLeastTtl,
  setNumber,
  setsockopt,
  setTtl,
  socket,
  TCP_MD5SIG,
} from './syscalls.ts';

export interface StreamTarget {
  readonly address: IpAddress;
  readonly port: number;
  readonly source: IpAddress | undefined;
  /** An interface or a VRF: needs NET_RAW. Empty: whatever the routes say. */
  readonly device: string;
  /** TCP-MD5; at most 80 bytes. */
  readonly md5: Uint8Array | undefined;
  /** The interface that a link-local address is on. */
  readonly zone?: string | undefined;
  /** Packets from farther away are dropped (RFC 5082); undefined: none is. */
  readonly ttlSecurityHops?: number | undefined;
}

/** What is used of a Node socket. Data comes only once somebody listens for it; `close` comes last, and once. */
export interface Stream {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  on(event: 'data', listener: (data: Buffer) => void): unknown;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  write(bytes: Uint8Array): unknown;
  /** Closes at once. */
  destroy(): unknown;
  /** Closes when everything has been sent. */
  destroySoon(): unknown;
}

export type ConnectResult =
  | { readonly ok: true; readonly socket: Stream }
  | { readonly ok: false; readonly code: string; readonly call: string };

/** Milliseconds between checks whether a connection is open. */
const POLL = 5;
/** So that routers with "TTL security" (RFC 5082) accept us; others ignore it. */
const TTL = 255;
const MD5_STRUCT = 216;
const MD5_KEY = 136;

/** Calls back once, after this returns, and never after the returned abort function was called. */
export function connectStream(target: StreamTarget, done: (result: ConnectResult) => void): () => void {
  let fd: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  const finish = (result: ConnectResult) => {
    timer = undefined;
    if (!result.ok && fd !== undefined) close(fd);
    fd = undefined;
    done(result);
  };
  const look = () => {
    const state = connection(fd!);
    if (state === 'pending') timer = setTimeout(look, POLL);
    else if (state === 'open') {
      const stream = new Socket({ fd: fd!, readable: true, writable: true });
      finish({ ok: true, socket: stream.setNoDelay(true) });
    } else finish({ ok: false, code: state.error, call: 'connect' });
  };
  try {
    fd = socket(target.address.family === 'ipv4' ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    prepare(fd, target);
    connect(fd, socketAddress(target.address, target.port, scopeOf(target.zone)));
    timer = setTimeout(look, POLL);
  } catch (error) {
    const { code, message } = error as SystemCallError;
    timer = setTimeout(() => finish({ ok: false, code, call: message }), 0);
  }
  return () => {
    clearTimeout(timer);
    if (timer !== undefined && fd !== undefined) close(fd);
    timer = undefined;
  };
}

function prepare(fd: number, { address, source, device, md5, zone, ttlSecurityHops }: StreamTarget): void {
  setTtl(fd, address.family, TTL);
  if (ttlSecurityHops !== undefined) setLeastTtl(fd, address.family, TTL + 1 - ttlSecurityHops);
  if (device !== '') bindToDevice(fd, device);
  if (md5 !== undefined) setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, md5Signature(address, md5, zone));
  if (source !== undefined) bind(fd, socketAddress(source, 0));
}

function scopeOf(zone: string | undefined): number {
  return zone === undefined ? 0 : interfaceIndex(zone);
}

/** struct tcp_md5sig: address (128 bytes), flags, prefix length, key length, interface, key (80 bytes). */
function md5Signature(address: IpAddress, key: Uint8Array, zone: string | undefined): Uint8Array {
  const bytes = new Uint8Array(MD5_STRUCT);
  bytes.set(socketAddress(address, 0, scopeOf(zone)), 0);
  new DataView(bytes.buffer).setUint16(130, key.length, true);
  bytes.set(key, MD5_KEY);
  return bytes;
}

export interface StreamListener {
  /** Sets the TCP-MD5 key for an address; undefined: removes it. */
  setMd5(address: IpAddress, key: Uint8Array | undefined): void;
  close(): void;
}

/** Listens on all addresses of a family. Throws SystemCallError. */
export function listenStream(
  family: IpFamily,
  port: number,
  onConnection: (socket: Stream, limit: (ttlSecurityHops: number) => void) => void,
): StreamListener {
  const fd = socket(family === 'ipv4' ? AF_INET : AF_INET6, SOCK_STREAM, 0);
  try {
    if (family === 'ipv6') setNumber(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    // Accepted connections inherit it.
    setTtl(fd, family, TTL);
    listenAt(fd, socketAddress({ family, value: 0n }, port));
  } catch (error) {
    close(fd);
    throw error;
  }
  // Node takes the socket over as it is, options and all, and closes it.
  const server = createServer({ noDelay: true }, (stream) =>
    onConnection(stream, (hops) => {
      const descriptor = descriptorOf(stream);
      if (descriptor !== undefined) setLeastTtl(descriptor, family, TTL + 1 - hops);
    }),
  );
  // A connection that could not be taken is that router's loss: it tries again.
  server.on('error', () => {});
  server.listen({ fd });
  return {
    setMd5: (address, key) => {
      try {
        setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, md5Signature(address, key ?? new Uint8Array(), undefined));
      } catch (error) {
        // Removing a key that was never set is not an error.
        if (key !== undefined) throw error;
      }
    },
    close: () => {
      server.close();
    },
  };
}

/** The descriptor of a connection, which Node has no public name for; undefined once it is closed. */
function descriptorOf(stream: Socket): number | undefined {
  return (stream as unknown as { readonly _handle: { readonly fd: number } | null })._handle?.fd;
}
