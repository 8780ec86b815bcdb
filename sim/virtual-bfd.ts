/**
 * The BFD sessions of one process, on the virtual network.
 * @module
 */
import { type BfdPorts, BfdSessions } from '../src/adapters/wire/bfd-sessions.ts';
import { formatAddress, parseAddress } from '../src/core/net/address.ts';
import type { VirtualProcess } from './virtual-process.ts';
import type { VirtualHost } from './virtual-tcp.ts';

/** They run in the wire thread of the process, as long as it is the one of its host. */
export function bfdOn(host: VirtualHost, process: VirtualProcess, report: BfdPorts['report']): BfdSessions {
  const sessions = new BfdSessions({
    clock: process.wire.clock,
    network: {
      open: ({ address }) => ({
        send: (bytes) => {
          if (process.touches('sends a BFD packet')) host.sendPacket(formatAddress(address), bytes);
        },
        close: () => {},
      }),
      admit: () => {},
      sendEcho: () => false,
    },
    report,
    onTrouble: () => {},
  });
  host.onPacket = (bytes, from) =>
    process.wire.run('bfd', () => sessions.packetReceived(bytes, parseAddress(from.address), false));
  return sessions;
}
