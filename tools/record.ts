/**
 * `npm run record`: makes the recordings in test/replay again. A user creates the echo Service of document 002, its pool, its
 * advertisement and an endpoint, asks for another address, deletes the pool, and deletes the Service; controller and
 * speaker record what they see of it on the embedded API.
 * @module
 */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort, type LabProcess, must, run, start } from '../lab/net/shell.ts';
import { sleep, until } from '../lab/net/waiting.ts';

const METALLB = resolve('bin/metallb');
const directory = mkdtempSync(join(tmpdir(), 'metallb-record-'));
const recording = (name: string) => join(directory, `${name}.jsonl`);
const processes: LabProcess[] = [];
const launch = (name: string, ...args: string[]) => {
  processes.push(start(name, [METALLB, ...args], join(directory, `${name}.log`)));
};

try {
  launch(
    'api',
    'standalone',
    '--api-only',
    '--data-dir',
    join(directory, 'data'),
    '--listen',
    `127.0.0.1:${await freePort()}`,
  );
  const kubeconfig = join(directory, 'data', 'kubeconfig');
  const env = { KUBECONFIG: kubeconfig };
  await until(
    'the API',
    () => existsSync(kubeconfig) && run(['kubectl', 'get', '--raw', '/readyz'], { env }).status === 0,
  );
  const shared = ['--kubeconfig', kubeconfig, '--port', '0', '--health-probe-port', '0'];
  launch('controller', 'controller', ...shared, '--webhook-mode', 'disabled', '--record', recording('controller'));
  launch('speaker', 'speaker', ...shared, '--node-name', 'node-1', '--record', recording('speaker'));
  const kubectl = async (args: readonly string[], input = '') => {
    must(['kubectl', ...args], { env, input });
    // Each step comes in by itself, so that the recording can be read.
    await sleep(700);
  };
  await sleep(2500);
  const apply = (object: object) => kubectl(['apply', '-f', '-'], JSON.stringify(object));
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'hello-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'hello' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.244.0.5'], nodeName: 'node-1', conditions: { ready: true } }],
    ports: [{ port: 8080 }],
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'hello', namespace: 'default' },
    spec: { type: 'LoadBalancer', selector: { app: 'hello' }, ports: [{ port: 80, targetPort: 8080 }] },
  };
  await apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } });
  await apply(service);
  await kubectl(['apply', '-f', resolve('lab/manifests/raspberry-address-pool.yaml')]);
  const l2 = {
    apiVersion: 'metallb.io/v1beta1',
    kind: 'L2Advertisement',
    metadata: { name: 'l2', namespace: 'metallb-system' },
  };
  await apply(l2);
  await apply(slice);
  const pool = run(
    [
      'kubectl',
      'get',
      'ipaddresspools',
      '-A',
      '-o',
      'jsonpath={.items[0].metadata.name} {.items[0].spec.addresses[0]}',
    ],
    { env },
  );
  const [name = '', addresses = ''] = pool.stdout.split(' ');
  await apply({ ...service, spec: { ...service.spec, loadBalancerIP: addresses.split('-').at(-1) } });
  await kubectl(['-n', 'metallb-system', 'delete', 'ipaddresspool', name]);
  await kubectl(['delete', 'service', 'hello']);
  for (const process of processes.splice(0).reverse()) await process.stop();
  for (const room of ['controller', 'speaker']) {
    copyFileSync(recording(room), `test/replay/${room}/echo-service/input.jsonl`);
    const lines = readFileSync(recording(room), 'utf8').trim().split('\n').length;
    console.log(`recorded ${lines} inputs of the ${room}`);
  }
  console.log('now: UPDATE_GOLDEN=1 npx vitest run --project unit test/replay, and read the difference');
} finally {
  for (const process of processes) await process.stop();
  rmSync(directory, { recursive: true, force: true });
}
