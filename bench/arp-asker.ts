/**
 * Asks for addresses in turn, by ARP and by Neighbor Solicitations, and measures each answer; see arp.ts. Times are in microseconds.
 * `SAMPLES`, or `flood RATE`: asks for ours that often in a second until it is killed.
 * @module
 */
import { LAN6 } from '../lab/net/lan.ts';
import { readLinks } from '../src/adapters/wire/links.ts';
import { openPacketSocket } from '../src/adapters/wire/packet-socket.ts';
import { poll, receive, send } from '../src/adapters/wire/syscalls.ts';
import { decodeArp } from '../src/core/layer2/arp-codec.ts';
import { decodeNdp } from '../src/core/layer2/ndp-codec.ts';
import { encodeProbe } from '../src/core/layer2/probe.ts';
import { formatAddress, parseAddress } from '../src/core/net/address.ts';

const ADDRESSES = ['192.168.1.11', '192.168.1.200', `${LAN6}11`, `${LAN6}200`];
const [link] = readLinks([/^lo$/]).fit;
const fds = { ipv4: openPacketSocket('arp', link!.index), ipv6: openPacketSocket('ndp', link!.index) };
const buffer = new Uint8Array(512);

const questions = ADDRESSES.map((text) => encodeProbe(parseAddress(text)!, link!.mac));

if (process.argv[2] === 'flood') await flood(Number(process.argv[3]));
else await measure(Number(process.argv[2]));

async function flood(rate: number): Promise<never> {
  const began = performance.now();
  for (let sent = 0; ; ) {
    for (const due = ((performance.now() - began) * rate) / 1000; sent < due; sent++) send(fds.ipv4, questions[1]!);
    for (const fd of Object.values(fds)) while (receive(fd, buffer) !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function measure(samples: number): Promise<void> {
  const times: Record<string, number[]> = Object.fromEntries(ADDRESSES.map((address) => [address, []]));
  for (let i = 0; i < samples; i++) {
    for (const [which, address] of ADDRESSES.entries()) {
      const fd = address.includes(':') ? fds.ipv6 : fds.ipv4;
      while (receive(fd, buffer) !== undefined);
      const began = process.hrtime.bigint();
      send(fd, questions[which]!);
      if (answered(fd, address)) times[address]!.push(Number(process.hrtime.bigint() - began) / 1000);
    }
    // A breath between questions, so that it is answers that are measured and not a flood.
    if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  process.stdout.write(JSON.stringify(times));
}

function answered(fd: number, address: string): boolean {
  const end = performance.now() + 1000;
  while (performance.now() < end) {
    if (poll([fd], 100).length === 0) continue;
    const length = receive(fd, buffer);
    if (length !== undefined && claimedBy(buffer.slice(0, length)) === address) return true;
  }
  return false;
}

function claimedBy(bytes: Uint8Array): string | undefined {
  const arp = decodeArp(bytes);
  if (arp.ok) return arp.frame.operation === 'reply' ? formatAddress(arp.frame.senderAddress) : undefined;
  const ndp = decodeNdp(bytes);
  return ndp.ok && ndp.frame.kind === 'advertisement' ? formatAddress(ndp.frame.target) : undefined;
}
