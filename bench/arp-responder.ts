/**
 * The wire Worker with addresses on eth0, in a process of its own; see arp.ts. `MODE COUNT`: `idle` or `blocked` (the main thread, for half
 * of each second), and how many addresses besides the two that are asked for. Says each second what it uses.
 * @module
 */

import { LAN6 } from '../lab/net/lan.ts';
import { Wire } from '../src/adapters/wire/wire.ts';
import { parseAddress } from '../src/core/net/address.ts';

const [mode, count] = process.argv.slice(2);
let answers = 0;
const wire = new Wire(
  {
    layer2: { refreshInterval: 60_000, probeBeforeUse: false, answerPing: false },
    excludeLinks: [/^lo$/],
    liveness: undefined,
    isRecorded: false,
  },
  (fact) => {
    if (fact.kind === 'failed') console.error(fact.message);
    if (fact.kind === 'counts')
      for (const { counter, by } of fact.counts) if (counter === 'responses_sent') answers += by;
  },
);
const others = Array.from({ length: Number(count) }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
const announcements = ['192.168.1.200', `${LAN6}200`, ...others].map((address) => ({
  address: parseAddress(address)!,
}));
wire.send({ kind: 'announce', announcements, handingOver: [] });
let used = process.cpuUsage();
setInterval(() => {
  const end = performance.now() + (mode === 'blocked' ? 500 : 0);
  while (performance.now() < end);
  const { user, system } = process.cpuUsage(used);
  used = process.cpuUsage();
  console.log(JSON.stringify({ cpu: (user + system) / 1000, memory: process.memoryUsage.rss(), answers }));
  answers = 0;
}, 1000);
