/**
 * The wire Worker with one address on eth0, in a process of its own; see arp.ts.
 * @module
 */
import { readLinks } from '../src/adapters/linux/links.ts';
import { Wire } from '../src/adapters/wire/wire.ts';
import { parseAddress } from '../src/core/net/address.ts';

const wire = new Wire(
  { layer2: { refreshInterval: 0, probeBeforeUse: false, answerPing: false }, liveness: undefined },
  (fact) => {
    if (fact.kind === 'failed') console.error(fact.message);
  },
);
wire.send({ kind: 'interfaces', interfaces: readLinks([/^lo$/]).fit });
wire.send({ kind: 'announce', announcements: [{ address: parseAddress('192.168.1.200')! }], handingOver: [] });
setInterval(() => {
  const end = performance.now() + (process.argv[2] === 'blocked' ? 500 : 0);
  while (performance.now() < end);
}, 1000);
