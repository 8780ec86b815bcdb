/**
 * `metallb install` and `uninstall`, the kubectl plugin and the microk8s addon, on a real kube-apiserver.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LabProcess, must, run, runAsync, start } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { METALLB, scratch } from './processes.ts';

const KUBECONFIG = process.env.METALLB_TEST_KUBECONFIG;
const obstacle = KUBECONFIG === undefined ? 'it needs a real API server: npm run test:cluster' : undefined;
const NAMESPACE = 'easy';
const ADDON = resolve(import.meta.dirname, '../../packaging/microk8s/addons/metallb');

describe.skipIf(obstacle !== undefined)(`install${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`, () => {
  const directory = scratch();
  const processes: LabProcess[] = [];
  const env = { KUBECONFIG };
  const kubectl = (args: readonly string[], input?: string) =>
    must(['kubectl', ...args], { env, ...(input !== undefined && { input }) });
  const exists = (...args: string[]) => run(['kubectl', 'get', ...args], { env }).status === 0;
  /** In a namespace of its own, and with pools of nobody else. */
  const metallb = (...args: string[]) => runAsync([METALLB, ...args, '--namespace', NAMESPACE], { env });
  const range = '192.168.66.240-192.168.66.250';

  beforeAll(() => {
    kubectl(['delete', 'ipaddresspools,l2advertisements', '--all', '-A']);
    kubectl(['delete', 'nodes', '--all']);
    for (const [name, address] of [
      ['easy-1', '192.168.66.11'],
      ['easy-2', '192.168.66.12'],
    ]) {
      // A Node is the one kind that may bring its status along.
      const status = { addresses: [{ type: 'InternalIP', address }] };
      kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name }, status }));
    }
  });
  afterAll(async () => {
    for (const process of processes) await process.stop();
    await metallb('uninstall');
    kubectl(['delete', 'ipaddresspools,l2advertisements', '--all', '-A']);
    kubectl(['delete', 'nodes', 'easy-1', 'easy-2', '--ignore-not-found']);
    kubectl(['delete', 'namespace', NAMESPACE, '--wait=false', '--ignore-not-found']);
    directory.remove();
  });

  it.each([
    [['--addresses', '192.168.67.240-192.168.67.250'], "outside of the nodes' network 192.168.66.0/24"],
    [['--addresses', '192.168.66.5-192.168.66.20'], '192.168.66.11 is the address of node easy-1'],
    [[], 'for example 192.168.66.240-192.168.66.250'],
  ])('refuses %j, and has touched nothing', async (flags, message) => {
    const { status, stderr } = await metallb('install', ...flags);
    expect([status, stderr.includes(message)]).toEqual([2, true]);
    expect(exists('namespace', NAMESPACE)).toBe(false);
  });

  it('refuses where another load balancer runs, and says what to do', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'svclb-web-x', namespace: 'default', labels: { 'svccontroller.k3s.cattle.io/svcname': 'web' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    };
    kubectl(['apply', '-f', '-'], JSON.stringify(pod));
    const proxy = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kube-proxy', namespace: 'kube-system' },
      data: { 'config.conf': 'mode: ipvs\nipvs:\n  strictARP: false\n' },
    };
    kubectl(['apply', '-f', '-'], JSON.stringify(proxy));
    const { status, stderr } = await metallb('install', '--addresses', range);
    expect(status).toBe(1);
    expect(stderr).toContain('--disable servicelb');
    expect(stderr).toContain('strictARP: true');
    kubectl(['delete', 'pod', 'svclb-web-x', '--grace-period=0', '--force']);
    kubectl(['-n', 'kube-system', 'delete', 'configmap', 'kube-proxy']);
  });

  it('prints what kubectl takes', async () => {
    const { stdout } = await metallb('install', '--addresses', range, '--print', '--image', 'example.org/lb:7');
    expect(stdout).toContain('image: example.org/lb:7');
    // A dry run makes no namespace for what is to be in it.
    const elsewhere = stdout.replaceAll(`namespace: ${NAMESPACE}`, 'namespace: default');
    kubectl(['apply', '--server-side', '--dry-run=server', '--force-conflicts', '-f', '-'], elsewhere);
  });

  it('installs, and a Service has an address of the range', async () => {
    const { status, stdout, stderr } = await metallb('install', '--addresses', range);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`gives out ${range}`);
    for (const name of [
      'deployment/controller',
      'daemonset/speaker',
      'ipaddresspool/default',
      'l2advertisement/default',
    ])
      expect(exists('-n', NAMESPACE, name)).toBe(true);
    const flags = ['--namespace', NAMESPACE, '--port=0', '--health-probe-port=0', '--webhook-mode=disabled'];
    processes.push(start('controller', [METALLB, 'controller', ...flags], join(directory.path, 'controller.log'), env));
    kubectl(['-n', NAMESPACE, 'create', 'service', 'loadbalancer', 'web', '--tcp=80:80']);
    const path = 'jsonpath={.status.loadBalancer.ingress[0].ip}';
    const get = ['-n', NAMESPACE, 'get', 'service', 'web', '-o', path];
    const address = await until('the address', () => kubectl(get) || undefined);
    expect(address).toMatch(/^192\.168\.66\.2(4\d|50)$/);
  });

  it('may be run again, without another pool, and answers to kubectl', async () => {
    const PATH = `${dirname(METALLB)}:${process.env.PATH}`;
    const { status, stdout } = await runAsync(['kubectl', 'metallb', 'install', '--namespace', NAMESPACE], {
      env: { ...env, PATH },
    });
    expect(status).toBe(0);
    expect(stdout).toContain('the pools that were there are used as they are');
  });

  it('says what it waits for, where no kubelet starts anything', async () => {
    const { status, stderr } = await metallb('install', '--wait', '1');
    expect([status, stderr]).toEqual([
      1,
      `metallb: not ready after 1 s (controller: 0 of 1 available; speakers: 0 of 0 ready); kubectl -n ${NAMESPACE} describe pods says why\n`,
    ]);
  });

  it('is taken away again, and the pools stay, or go', async () => {
    const { status, stdout } = await metallb('uninstall');
    expect(status).toBe(0);
    expect(stdout).toContain('Your pools, advertisements and peers stay');
    expect([
      exists('-n', NAMESPACE, 'deployment', 'controller'),
      exists('-n', NAMESPACE, 'ipaddresspool', 'default'),
    ]).toEqual([false, true]);
    expect(exists('clusterrole', `${NAMESPACE}:speaker`)).toBe(false);
    expect((await metallb('uninstall', '--all')).stdout).toContain('Nothing of MetalLB is left');
    expect(exists('crd', 'ipaddresspools.metallb.io')).toBe(false);
    const crds = resolve(import.meta.dirname, '../../config/crd/bases');
    await until('the CRDs are gone', () => run(['kubectl', 'create', '-f', crds], { env }).status === 0, {
      interval: 500,
    });
    kubectl([
      'wait',
      '--for=condition=Established',
      'crd/ipaddresspools.metallb.io',
      'crd/l2advertisements.metallb.io',
    ]);
  });

  it('is a microk8s addon too', () => {
    kubectl(['delete', 'ipaddresspools,l2advertisements', '--all', '-A']);
    const snap = join(directory.path, 'snap');
    mkdirSync(snap);
    const wrapper = join(snap, 'microk8s-kubectl.wrapper');
    writeFileSync(wrapper, '#!/bin/sh\nexec kubectl "$@"\n');
    chmodSync(wrapper, 0o755);
    const addon = (name: string, ...args: string[]) =>
      run([join(ADDON, name), ...args], { env: { ...env, SNAP: snap } });
    expect(addon('enable', '192.168.66.300-1').stdout).toContain('is no range of addresses');
    expect(exists('-n', 'metallb-system', 'daemonset', 'speaker')).toBe(false);
    const enabled = addon('enable', `${range},10.64.0.0/28`);
    expect([enabled.status, enabled.stderr]).toEqual([0, '']);
    const addresses = 'jsonpath={.items[0].spec.addresses}';
    expect(kubectl(['-n', 'metallb-system', 'get', 'ipaddresspools', '-o', addresses])).toBe(
      `["${range}","10.64.0.0/28"]`,
    );
    expect(exists('-n', 'metallb-system', 'daemonset', 'speaker')).toBe(true);
    expect(addon('disable').status).toBe(0);
    expect(exists('-n', 'metallb-system', 'daemonset', 'speaker')).toBe(false);
  });
});
