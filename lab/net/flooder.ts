/**
 * A stranger who fills a UDP port with garbage: `node flooder.ts ADDRESS PORT PER-SECOND SECONDS`. Prints how many datagrams it has sent.
 * @module
 */
import { randomFillSync } from 'node:crypto';
import { socketAddress } from '../../src/adapters/wire/datagram-socket.ts';
import { AF_INET, SOCK_DGRAM, sendTo, socket } from '../../src/adapters/wire/syscalls.ts';
import { parseAddress } from '../../src/core/net/address.ts';

const [address, port, rate, seconds] = process.argv.slice(2) as [string, string, string, string];
const to = socketAddress(parseAddress(address)!, Number(port));
const fd = socket(AF_INET, SOCK_DGRAM, 0);
const garbage = Buffer.alloc(120);
const began = performance.now();
const end = Number(seconds) * 1000;
let sent = 0;

/** In bursts, of what is missing by now. */
function flood(): void {
  const passed = Math.min(performance.now() - began, end);
  for (let wanted = Math.floor((passed / 1000) * Number(rate)); sent < wanted; sent++) {
    if (sent % 64 === 0) randomFillSync(garbage);
    sendTo(fd, garbage, to);
  }
  if (passed < end) setTimeout(flood, 1);
  else console.log(sent);
}

flood();
