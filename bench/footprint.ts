/**
 * What it costs to have it: time from the start of a process until a Service that waits has its address, resident memory with one and with 1,000
 * Services, and `metallb install` until the first address. On a real kube-apiserver, beside MetalLB's own controller in the same run.
 * @module
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findTool, METALLB_CONTROLLER } from '../lab/kubernetes/go-tool.ts';
import { findBinaries, startRealApi } from '../lab/kubernetes/real-api.ts';
import { must, run, start } from '../lab/net/shell.ts';
import { sleep, until } from '../lab/net/waiting.ts';
import { KubernetesClient } from '../src/adapters/kubernetes/client.ts';
import { Connection } from '../src/adapters/kubernetes/connection.ts';
import { collectionPath, objectPath } from '../src/adapters/kubernetes/resources.ts';
import type { Service } from '../src/core/api/kubernetes.ts';
import { median, printTable, show } from './table.ts';

const ROOT = resolve(import.meta.dirname, '..');
const RUNS = Number(process.env.BENCH_RUNS ?? 3);
const NAMESPACE = 'metallb-system';

interface Who {
  readonly name: string;
  readonly component: 'controller' | 'speaker';
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export async function benchFootprint(): Promise<void> {
  const binaries = findBinaries();
  if (typeof binaries === 'string') return console.log(`\nfootprint did not run: ${binaries}`);
  const directory = mkdtempSync(join(tmpdir(), 'metallb-bench-'));
  const program = join(directory, 'image');
  must([process.execPath, join(ROOT, 'image/program.ts'), process.arch === 'arm64' ? 'arm64' : 'amd64', program], {});
  const bundled = [process.execPath, join(program, 'usr/lib/metallb/metallb.mjs')];
  const api = await startRealApi(binaries, join(directory, 'api'));
  const env = { KUBECONFIG: api.kubeconfig };
  const client = new KubernetesClient(Connection.open(api.kubeconfig), 'bench');
  try {
    const flags = ['--namespace', NAMESPACE, '--port', '0', '--health-probe-port', '0', '--log-level', 'error'];
    const people: Who[] = [
      ...(
        [
          ['from a checkout', [join(ROOT, 'bin/metallb')]],
          ['of the image', bundled],
        ] as const
      ).flatMap(([name, command]): Who[] => [
        {
          name: `controller, ${name}`,
          component: 'controller',
          command: [...command, 'controller', ...flags, '--webhook-mode', 'disabled'],
          env,
        },
        {
          name: `speaker, ${name}`,
          component: 'speaker',
          command: [...command, 'speaker', ...flags, '--node-name', 'bench'],
          env,
        },
      ]),
      ...upstream(env),
    ];
    const rows: string[][] = [];
    for (const services of [1, 1000]) {
      await fill(client, services);
      for (const who of people)
        rows.push([who.name, String(services), ...(await measure(who, client, services, directory))]);
    }
    printTable(
      `Processes on kube-apiserver, medians of ${RUNS}`,
      ['process', 'Services', 'start until all have addresses, or ready', 'resident 5 s later'],
      rows,
    );
    await benchInstall(bundled, client, env, directory);
  } finally {
    await api.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function upstream(env: NodeJS.ProcessEnv): Who[] {
  const tool = findTool(METALLB_CONTROLLER);
  if (typeof tool === 'string') {
    console.log(`\nMetalLB's own controller is not measured: ${tool}`);
    return [];
  }
  const flags = [`--namespace=${NAMESPACE}`, '--webhook-mode=disabled', '--port=0', '--log-level=error'];
  const own = { ...env, METALLB_POD_NAME: 'upstream', METALLB_BGP_TYPE: 'frr' };
  return [
    { name: "controller, MetalLB's own 0.15.2", component: 'controller', command: [tool.path, ...flags], env: own },
  ];
}

async function fill(client: KubernetesClient, services: number): Promise<void> {
  const put = async (path: string, body: object) => {
    await client.request({ method: 'POST', path, body }).catch((error: Error) => {
      if (!error.message.includes('already exists')) throw error;
    });
  };
  await put(collectionPath('nodes'), { apiVersion: 'v1', kind: 'Node', metadata: { name: 'bench' } });
  const pod = { containers: [{ name: 'c', image: 'i' }] };
  await put(collectionPath('pods', NAMESPACE), {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'upstream' },
    spec: pod,
  });
  const spec = { addresses: ['198.18.0.0/16'] };
  await put(collectionPath('ipaddresspools', NAMESPACE), {
    apiVersion: 'metallb.io/v1beta1',
    kind: 'IPAddressPool',
    metadata: { name: 'bench' },
    spec,
  });
  for (let i = 0; i < services; i++) {
    const body = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: `s${i}` },
      spec: { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] },
    };
    await put(collectionPath('services', 'default'), body);
  }
}

/** Takes all addresses away again, so that each begins with the same. */
async function forget(client: KubernetesClient): Promise<void> {
  for (const { metadata } of await client.list(collectionPath('services', 'default'))) {
    const path = objectPath('services', `default/${metadata.name}`, 'status');
    const body = { metadata: { annotations: null }, status: { loadBalancer: { ingress: null }, conditions: null } };
    await client.request({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body });
  }
}

async function served(client: KubernetesClient): Promise<number> {
  const services = (await client.list(collectionPath('services', 'default'))) as readonly Service[];
  return services.filter(({ status }) => (status?.loadBalancer?.ingress ?? []).length > 0).length;
}

async function measure(who: Who, client: KubernetesClient, services: number, directory: string): Promise<string[]> {
  const times: number[] = [];
  const sizes: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    if (who.component === 'controller') await forget(client);
    const began = performance.now();
    const health = 17_500 + i;
    const command = who.component === 'speaker' ? [...who.command, '--health-probe-port', String(health)] : who.command;
    const running = start('bench', command, join(directory, `${who.component}.log`), who.env);
    const isDone =
      who.component === 'controller'
        ? async () => (await served(client)) >= services
        : () =>
            fetch(`http://127.0.0.1:${health}/readyz`).then(
              ({ ok }) => ok,
              () => false,
            );
    await until(`${who.name} has done it`, isDone, { patience: 120_000 });
    times.push(performance.now() - began);
    await sleep(5000);
    sizes.push(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${running.pid}/status`, 'utf8'))![1]) / 1024);
    await running.stop();
  }
  return [show(median(times), 'ms'), show(median(sizes), 'MiB')];
}

/** The kubelet is not there: the controller is started as soon as its Deployment is, with the image on the node already. */
async function benchInstall(
  bundled: readonly string[],
  client: KubernetesClient,
  env: NodeJS.ProcessEnv,
  directory: string,
): Promise<void> {
  const kubectl = (...args: string[]) => run(['kubectl', ...args], { env });
  const applied: number[] = [];
  const served1: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    kubectl('delete', 'ipaddresspools,l2advertisements', '--all', '-A');
    must([...bundled, 'uninstall'], { env });
    kubectl('delete', 'services', '--all', '-n', 'default');
    kubectl('create', 'service', 'loadbalancer', 'first', '--tcp=80:80');
    const began = performance.now();
    const install = [...bundled, 'install', '--addresses', '192.168.1.240-192.168.1.250', '--allow-outside'];
    must(install, { env });
    applied.push(performance.now() - began);
    const flags = ['--namespace', NAMESPACE, '--port', '0', '--health-probe-port', '0', '--log-level', 'error'];
    const controller = start(
      'bench',
      [...bundled, 'controller', ...flags, '--webhook-mode', 'disabled'],
      join(directory, 'install.log'),
      env,
    );
    await until('the first address', async () => (await served(client)) > 0, { patience: 30_000, interval: 10 });
    served1.push(performance.now() - began);
    await controller.stop();
  }
  printTable(
    `\`metallb install\` on kube-apiserver, medians of ${RUNS}`,
    ['until', 'after'],
    [
      ['everything is applied', show(median(applied), 'ms')],
      ['the first Service has its address, with the image on the node', show(median(served1), 'ms')],
    ],
  );
}
