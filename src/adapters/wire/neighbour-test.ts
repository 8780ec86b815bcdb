/**
 * Tests whether the network between two nodes lets one answer for an address that is not its own: `metallb doctor --lend` on one,
 * `--ask` on the other. Clouds and hypervisors drop such answers silently (port security, anti-spoofing).
 * @module
 */
import { decodeArp } from '../../core/layer2/arp-codec.ts';
import type { Interface } from '../../core/layer2/messages.ts';
import { decodeNdp } from '../../core/layer2/ndp-codec.ts';
import { encodeProbe } from '../../core/layer2/probe.ts';
import { compareAddresses, type IpAddress } from '../../core/net/address.ts';
import { formatMac } from '../../core/net/mac.ts';
import { openPacketSocket } from './packet-socket.ts';
import { close, poll, receive, send } from './syscalls.ts';
import { Wire } from './wire.ts';

/** Milliseconds between two probes, and how many are sent. */
const PAUSE = 300;
const QUESTIONS = 5;

/** Answers for the address on all links that are not excluded, until the returned function is called. */
export function lendAddress(
  address: IpAddress,
  excludeLinks: readonly RegExp[],
  onTrouble: (message: string) => void,
): () => Promise<void> {
  const layer2 = { refreshInterval: 0, probeBeforeUse: false, answerPing: true };
  const wire = new Wire({ layer2, excludeLinks, liveness: undefined, isRecorded: false }, (fact) => {
    if (fact.kind === 'failed') onTrouble(`${fact.what} on ${fact.on}: ${fact.code}`);
  });
  wire.send({ kind: 'announce', announcements: [{ address }], handingOver: [] });
  return () => new Promise((resolve) => wire.stop(resolve));
}

export interface NeighbourAnswer {
  readonly link: string;
  readonly mac: string;
}

/** Who answers for the address on any of the links; blocks for up to 1.5 seconds. Throws SystemCallError. */
export function askForAddress(address: IpAddress, links: readonly Interface[]): NeighbourAnswer[] {
  const protocol = address.family === 'ipv4' ? 'arp' : 'ndp';
  const sockets = links
    .filter((link) => link[protocol])
    .map((link) => ({ link, fd: openPacketSocket(protocol, link.index) }));
  const answers = new Map<string, NeighbourAnswer>();
  const buffer = new Uint8Array(512);
  try {
    for (let i = 0; i < QUESTIONS && answers.size === 0; i++) {
      for (const { link, fd } of sockets) send(fd, encodeProbe(address, link.mac));
      for (const end = performance.now() + PAUSE; performance.now() < end; ) {
        const readable = poll(
          sockets.map(({ fd }) => fd),
          Math.max(1, Math.ceil(end - performance.now())),
        );
        for (const { link, fd } of sockets.filter((socket) => readable.includes(socket.fd))) {
          const length = receive(fd, buffer);
          const mac = length === undefined ? undefined : claimant(buffer.slice(0, length), address);
          if (mac !== undefined) answers.set(`${link.name} ${mac}`, { link: link.name, mac });
        }
      }
    }
  } finally {
    for (const { fd } of sockets) close(fd);
  }
  return [...answers.values()];
}

function claimant(bytes: Uint8Array, address: IpAddress): string | undefined {
  const arp = decodeArp(bytes);
  if (arp.ok) {
    const { operation, senderAddress, senderMac } = arp.frame;
    return operation === 'reply' && compareAddresses(senderAddress, address) === 0 ? formatMac(senderMac) : undefined;
  }
  const ndp = decodeNdp(bytes);
  if (!ndp.ok || ndp.frame.kind !== 'advertisement' || compareAddresses(ndp.frame.target, address) !== 0)
    return undefined;
  return formatMac(ndp.frame.targetLinkLayer ?? ndp.frame.source);
}
