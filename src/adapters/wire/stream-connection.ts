/**
 * TCP connections with what Node's own cannot do: a source address, an interface or VRF, TCP-MD5 (RFC 2385) and a TTL, all before the first
 * packet. Once it stands it is an ordinary socket of Node's.
 * @module
 */
import { Socket } from 'node:net';
import type { IpAddress } from '../../core/net/address.ts';
import { socketAddress } from './datagram-socket.ts';
import {
  AF_INET,
  AF_INET6,
  bind,
  close,
  connect,
  connection,
  IPPROTO_TCP,
  SO_BINDTODEVICE,
  SOCK_STREAM,
  SOL_SOCKET,
  type SystemCallError,
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
}

export type ConnectResult =
  | { readonly ok: true; readonly socket: Socket }
  | { readonly ok: false; readonly code: string; readonly call: string };

/** Milliseconds between looks at whether a connection stands. */
const POLL = 5;
/** So that routers with "TTL security" (RFC 5082) take us; others do not look. */
const TTL = 255;
const MD5_STRUCT = 216;
const MD5_KEY = 136;

/** Calls back once, and never after the abort that it gives back. The result comes later than this returns. */
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
    connect(fd, socketAddress(target.address, target.port));
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

function prepare(fd: number, { address, source, device, md5 }: StreamTarget): void {
  setTtl(fd, address.family, TTL);
  if (device !== '') setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(`${device}\0`));
  if (md5 !== undefined) setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, md5Signature(address, md5));
  if (source !== undefined) bind(fd, socketAddress(source, 0));
}

/** struct tcp_md5sig: address (128 bytes), flags, prefix length, key length, interface, key (80 bytes). */
function md5Signature(address: IpAddress, key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(MD5_STRUCT);
  bytes.set(socketAddress(address, 0), 0);
  new DataView(bytes.buffer).setUint16(130, key.length, true);
  bytes.set(key, MD5_KEY);
  return bytes;
}
