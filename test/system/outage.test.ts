/**
 * The API server is killed and stays away: nothing is lost, and everything goes on when it is back. For a minute and with a
 * real kube-apiserver in `npm run test:cluster`, for some seconds and with the embedded API otherwise.
 * @module
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findBinaries, startRealApi } from '../../lab/kubernetes/real-api.ts';
import { type LabProcess, run, start } from '../../lab/net/shell.ts';
import { sleep, until } from '../../lab/net/waiting.ts';
import { METALLB, scratch, startStandalone } from './processes.ts';

interface Server {
  readonly kubeconfig: string;
  kill(): Promise<void>;
  revive(): Promise<void>;
  stop(): Promise<void>;
}

const CLUSTER = process.env.METALLB_TEST_KUBECONFIG !== undefined;
/** Milliseconds without an API server. */
const AWAY = CLUSTER ? 60_000 : 4000;

async function open(directory: string): Promise<Server> {
  if (CLUSTER) {
    const binaries = findBinaries();
    if (typeof binaries === 'string') throw new Error(binaries);
    return startRealApi(binaries, directory);
  }
  let api = await startStandalone(directory, ['--api-only']);
  const { port } = api;
  return {
    kubeconfig: api.kubeconfig,
    kill: async () => {
      api.process.kill('SIGKILL');
      await api.process.exited;
    },
    revive: async () => {
      api = await startStandalone(directory, ['--api-only'], [], port);
    },
    stop: () => api.process.stop(),
  };
}

it(`loses nothing when the ${CLUSTER ? 'real' : 'embedded'} API server is killed for ${AWAY / 1000} s`, async () => {
  const directory = scratch();
  const server = await open(directory.path);
  const processes: LabProcess[] = [];
  const launch = (name: string) => {
    const quiet = ['--port', '0', '--health-probe-port', '0', '--webhook-mode', 'disabled', '--leader-elect'];
    const scope = ['--kubeconfig', server.kubeconfig, '--namespace', 'metallb-system'];
    const process = start(name, [METALLB, 'controller', ...scope, ...quiet], join(directory.path, `${name}.log`));
    processes.push(process);
    return process;
  };
  const kubectl = (...args: string[]) => run(['kubectl', ...args], { env: { KUBECONFIG: server.kubeconfig } });
  const apply = (text: string) => {
    const { status, stderr } = run(['kubectl', 'apply', '-f', '-'], {
      env: { KUBECONFIG: server.kubeconfig },
      input: text,
    });
    if (status !== 0) throw new Error(stderr);
  };
  const pool = (name: string, range: string, more = '') =>
    apply(
      `apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: ${name}, namespace: metallb-system}\nspec: {addresses: [${range}]${more}}\n`,
    );
  const late = (range: string) =>
    pool('late', range, ', serviceAllocation: {serviceSelectors: [{matchLabels: {came: late}}]}');
  const service = (name: string, labels = '') =>
    apply(
      `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, labels: {${labels}}}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n`,
    );
  const addresses = () => {
    const path =
      'jsonpath={range .items[?(@.spec.type=="LoadBalancer")]}{.metadata.name}={.status.loadBalancer.ingress[*].ip} {end}';
    return kubectl('get', 'services', '-o', path).stdout.trim();
  };
  try {
    pool('p', '198.18.0.0/29');
    late('198.18.8.0/30');
    const controllers = [launch('first'), launch('second')];
    for (const name of ['a', 'b', 'c']) service(name);
    await until('three addresses', () => addresses() === 'a=198.18.0.0 b=198.18.0.1 c=198.18.0.2');
    kubectl('delete', 'service', 'b');
    service('d');
    await server.kill();
    await sleep(AWAY);
    await server.revive();
    // Both may have ended meanwhile: the leader could not renew its Lease. Kubernetes would start them again.
    for (const controller of controllers) if (!controller.running) launch(`again-${controller.pid}`);
    // Watches come back one by one: nothing is given by what a pool was before.
    late('198.18.9.0/30');
    service('late', 'came: late');
    service('e');
    await until('an address for who came after', () => /e=198/.test(addresses()), { patience: 60_000, interval: 200 });
    const after = addresses().split(' ');
    expect(after).toContain('a=198.18.0.0');
    expect(after).toContain('c=198.18.0.2');
    await until('an address by what the pool is', () => addresses().includes('late=198.18.9.0'), {
      patience: 60_000,
      interval: 200,
    });
    const events = [
      'get',
      'events',
      '--field-selector',
      'involvedObject.name=late',
      '-o',
      'jsonpath={.items[*].message}',
    ];
    expect(kubectl(...events).stdout).not.toContain('198.18.8.');
    expect(
      new Set(
        addresses()
          .split(' ')
          .map((pair) => pair.split('=')[1]),
      ).size,
    ).toBe(5);
  } finally {
    for (const process of processes) await process.stop();
    await server.stop();
    directory.remove();
  }
});
