/**
 * Connects to a router and writes down every BGP message that it sends, as hexadecimal lines: `ROUTER LOCAL-ASN MILLISECONDS`.
 * @module
 */
import { createConnection } from 'node:net';
import { ourOpen } from '../../src/core/bgp/session/negotiation.ts';
import { BEFORE_OPEN, encodeMessage, frameLength } from '../../src/core/bgp/wire/codec.ts';

const [router = '', asn = '', time = ''] = process.argv.slice(2);
const OPEN = 1;
const socket = createConnection({ host: router, port: 179 });
let stream = new Uint8Array();
const settings = {
  asn: Number(asn),
  localAsn: Number(asn),
  peerAsn: 'external',
  holdTime: 90_000,
  keepaliveTime: undefined,
  connectTime: undefined,
  families: ['ipv4', 'ipv6'],
  gracefulRestart: true,
  passive: false,
  delayOpen: 0,
} as const;
socket.on('connect', () =>
  socket.write(encodeMessage(ourOpen(settings, { identifier: 0x0a090909, addresses: [] }, true), BEFORE_OPEN)),
);
socket.on('data', (data) => {
  stream = Uint8Array.from([...stream, ...data]);
  for (;;) {
    const frame = frameLength(stream, { fourOctetAs: true, extendedMessage: true });
    if (frame === undefined || 'code' in frame || stream.length < frame.length) return;
    const message = stream.slice(0, frame.length);
    stream = stream.slice(frame.length);
    console.log(Buffer.from(message).toString('hex'));
    const keepalive = encodeMessage({ kind: 'keepalive' }, BEFORE_OPEN);
    if (message[18] === OPEN) socket.write(keepalive);
  }
});
setTimeout(() => process.exit(), Number(time));
