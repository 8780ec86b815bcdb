/**
 * What BGP needs of the network of its node: the kernel's, or that of the simulation.
 * @module
 */
import { localEnd } from '../../adapters/linux/local-end.ts';
import { forwardsIpv4 } from '../../adapters/wire/bfd-echo.ts';
import {
  type ConnectResult,
  connectStream,
  listenStream,
  type Stream,
  type StreamListener,
  type StreamTarget,
} from '../../adapters/wire/stream-connection.ts';
import type { LocalEnd } from '../../core/bgp/session/negotiation.ts';
import type { IpAddress, IpFamily } from '../../core/net/address.ts';

export interface BgpNetwork {
  /** Calls back once, after this returns, and never after the returned abort function was called. */
  connect(target: StreamTarget, done: (result: ConnectResult) => void): () => void;
  /** Listens on all addresses of a family. Throws SystemCallError. */
  listen(
    family: IpFamily,
    port: number,
    onConnection: (stream: Stream, limit: (ttlSecurityHops: number) => void) => void,
  ): StreamListener;
  /** What a session says of our end of a connection, of which the local address is known. */
  localEnd(address: string, routerId: IpAddress | undefined, node: string): LocalEnd;
  /** This node sends IPv4 packets on, BFD echoes of routers among them. */
  forwardsIpv4(): boolean;
}

export const KERNEL: BgpNetwork = { connect: connectStream, listen: listenStream, localEnd, forwardsIpv4 };
