/**
 * One speaker's liveness in a process of its own, on real sockets; see liveness.ts. `NAME ADDRESS PORT NAME=ADDRESS …`
 * @module
 */
import { Wire } from '../src/adapters/wire/wire.ts';

const [self = '', bindAddress = '', port = '', ...others] = process.argv.slice(2);
const members = others.map((text) => {
  const [node = '', address = ''] = text.split('=');
  return { node, address };
});
const secret = Buffer.from('the secret of the bench');
const liveness = { self, incarnation: BigInt(Date.now()), interval: 100, misses: 3, fenced: false };
const alive = new Set<string>();
const wire = new Wire(
  {
    layer2: { refreshInterval: 0, probeBeforeUse: false, answerPing: false },
    excludeLinks: [/./],
    liveness: { ...liveness, bindAddress, port: Number(port), secrets: [secret] },
    isRecorded: false,
  },
  (fact) => {
    if (fact.kind === 'failed') console.error(fact.message);
    if (fact.kind !== 'node-changed') return;
    if (fact.state === 'dead') console.log(`dead ${fact.node} ${Date.now()}`);
    if (fact.state === 'alive') alive.add(fact.node);
    if (alive.size === members.length - 1) console.log(`ready ${members.length}`);
  },
);
wire.send({ kind: 'members', members });
wire.send({ kind: 'ready' });
