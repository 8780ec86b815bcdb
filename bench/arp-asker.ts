/**
 * Asks for two addresses in turn by ARP and measures each answer; see arp.ts. Times are in microseconds.
 * @module
 */
import { readLinks } from '../src/adapters/linux/links.ts';
import { AF_PACKET, bind, poll, receive, SOCK_RAW, send, socket } from '../src/adapters/wire/syscalls.ts';
import { decodeArp, ETHERTYPE_ARP, encodeArp } from '../src/core/layer2/arp-codec.ts';
import { formatAddress, parseAddress } from '../src/core/net/address.ts';
import { BROADCAST_MAC } from '../src/core/net/mac.ts';

const ADDRESSES = ['192.168.1.11', '192.168.1.200'];
const samples = Number(process.argv[2]);
const [link] = readLinks([/^lo$/]).fit;
const fd = socket(AF_PACKET, SOCK_RAW, 0);
const bound = new Uint8Array(20);
const view = new DataView(bound.buffer);
view.setUint16(0, AF_PACKET, true);
view.setUint16(2, ETHERTYPE_ARP, false);
view.setInt32(4, link!.index, true);
bind(fd, bound);

const buffer = new Uint8Array(256);
const times: Record<string, number[]> = Object.fromEntries(ADDRESSES.map((address) => [address, []]));
const questions = ADDRESSES.map((address) =>
  encodeArp({
    destination: BROADCAST_MAC,
    source: link!.mac,
    operation: 'request',
    senderMac: link!.mac,
    senderAddress: parseAddress('192.168.1.50')!,
    targetMac: new Uint8Array(6),
    targetAddress: parseAddress(address)!,
  }),
);

for (let i = 0; i < samples; i++) {
  for (const [which, address] of ADDRESSES.entries()) {
    while (receive(fd, buffer) !== undefined);
    const began = process.hrtime.bigint();
    send(fd, questions[which]!);
    if (await answered(address)) times[address]!.push(Number(process.hrtime.bigint() - began) / 1000);
  }
  // A breath between questions, so that it is answers that are measured and not a flood.
  if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}
process.stdout.write(JSON.stringify(times));

async function answered(address: string): Promise<boolean> {
  const end = performance.now() + 1000;
  while (performance.now() < end) {
    if (poll([fd], 100).length === 0) continue;
    const length = receive(fd, buffer);
    const decoded = length === undefined ? undefined : decodeArp(buffer.slice(0, length));
    if (decoded?.ok && decoded.frame.operation === 'reply' && formatAddress(decoded.frame.senderAddress) === address)
      return true;
  }
  return false;
}
