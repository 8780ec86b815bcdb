/**
 * The receive buffer of a socket that must not lose what is for it among what is not.
 * @module
 */
import { SO_RCVBUF, SO_RCVBUFFORCE, SOL_SOCKET, setNumber } from './syscalls.ts';

/** Bytes. With the default, ARP requests are lost from 20,000 a second (measured). */
const RECEIVE_BUFFER = 4 << 20;

/** Throws SystemCallError. */
export function enlargeReceiveBuffer(fd: number): void {
  try {
    setNumber(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER);
  } catch {
    // Without NET_ADMIN, net.core.rmem_max applies.
    setNumber(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
  }
}
