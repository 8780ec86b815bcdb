/**
 * One list in a process of its own; see list.ts.
 * @module
 */
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { KubernetesClient } from '../src/adapters/kubernetes/client.ts';
import { Connection } from '../src/adapters/kubernetes/connection.ts';
import { Reflector } from '../src/adapters/kubernetes/reflector.ts';

const [who, kubeconfig] = process.argv.slice(2) as [string, string];

let last = performance.now();
let stall = 0;
let peak = 0;
const started = process.memoryUsage().rss;
const beat = setInterval(() => {
  const now = performance.now();
  stall = Math.max(stall, now - last - 1);
  last = now;
  peak = Math.max(peak, process.memoryUsage().rss - started);
}, 1);

const began = performance.now();
if (who === 'ours') {
  await new Promise<void>((resolve) => {
    const client = new KubernetesClient(Connection.open(kubeconfig), 'bench');
    const onChange = (change: { kind: string }) => change.kind === 'replaced' && resolve();
    new Reflector({
      client,
      resource: 'services',
      onChange,
      onTrouble: (_, message) => console.error(message),
    }).start();
  });
} else {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  await config.makeApiClient(CoreV1Api).listServiceForAllNamespaces();
}
const total = performance.now() - began;
await new Promise((resolve) => setTimeout(resolve, 5));
clearInterval(beat);
process.stdout.write(JSON.stringify({ stall, total, peak: peak / 1e6 }), () => process.exit());
