/**
 * MetalLB's own controller gives out addresses, ours takes over, and MetalLB takes over again, on a real kube-apiserver: no address changes.
 * @module
 */
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findTool, HELM, METALLB_CONTROLLER, moduleFolder } from '../../lab/kubernetes/go-tool.ts';
import { type LabProcess, must, run, runAsync, start } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { METALLB, scratch } from './processes.ts';

const KUBECONFIG = process.env.METALLB_TEST_KUBECONFIG;
const tool =
  KUBECONFIG === undefined ? 'it needs a real API server: npm run test:cluster' : findTool(METALLB_CONTROLLER);
const obstacle = typeof tool === 'string' ? tool : undefined;
const NAMESPACE = 'swap';
const CHART = resolve(import.meta.dirname, '../../charts/metallb');

const service = (name: string, annotations: Record<string, string> = {}, spec = '') => `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${NAMESPACE}, annotations: ${JSON.stringify(annotations)}}
spec: {type: LoadBalancer, selector: {app: ${name}}, ports: [{port: 80}]${spec}}
`;
const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: ${NAMESPACE}}
---
apiVersion: v1
kind: Pod
metadata: {name: upstream, namespace: ${NAMESPACE}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: first, namespace: ${NAMESPACE}}
spec: {addresses: [203.0.113.0/28], avoidBuggyIPs: true}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: second, namespace: ${NAMESPACE}}
spec: {addresses: [198.51.100.20-198.51.100.25, "2001:db8:1::/120"], autoAssign: false}
${service('plain-1')}${service('plain-2')}${service('plain-3')}
${service('wished', { 'metallb.io/loadBalancerIPs': '203.0.113.9' })}
${service('old-wish', {}, ', loadBalancerIP: 203.0.113.10')}
${service('of-second', { 'metallb.io/address-pool': 'second' })}
${service('both', { 'metallb.io/address-pool': 'second' }, ', ipFamilyPolicy: RequireDualStack')}
${service('shared-1', { 'metallb.io/allow-shared-ip': 'k', 'metallb.io/loadBalancerIPs': '203.0.113.11' })}
${service('shared-2', { 'metallb.io/allow-shared-ip': 'k', 'metallb.io/loadBalancerIPs': '203.0.113.11' }).replace('port: 80', 'port: 81')}
`;

describe.skipIf(obstacle !== undefined)(`the swap${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`, () => {
  const directory = scratch();
  const processes: LabProcess[] = [];
  const env = { KUBECONFIG };
  const kubectl = (args: readonly string[], input?: string) =>
    must(['kubectl', ...args], { env, ...(input !== undefined && { input }) });
  const addresses = (): Record<string, string> => {
    const path = 'jsonpath={range .items[*]}{.metadata.name} {.status.loadBalancer.ingress[*].ip}{"\\n"}{end}';
    const lines = kubectl(['-n', NAMESPACE, 'get', 'services', '-o', path]).trim().split('\n');
    return Object.fromEntries(lines.map((line) => [line.split(' ')[0]!, line.split(' ').slice(1).join(' ')]));
  };
  const all = (count: number) =>
    until(
      `${count} Services have addresses`,
      () => {
        const found = addresses();
        return Object.values(found).filter(Boolean).length === count && found;
      },
      { patience: 40_000, interval: 200 },
    ).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; ${processes.at(-1)?.log().slice(-4000)}`);
    });
  const launch = (name: string, command: readonly string[], more: NodeJS.ProcessEnv = {}) => {
    const process = start(name, command, join(directory.path, `${name}.log`), { ...env, ...more });
    processes.push(process);
    return process;
  };
  const upstream = (run: number) => {
    const { path } = tool as { path: string };
    const flags = [`--namespace=${NAMESPACE}`, '--webhook-mode=disabled', '--port=0', '--log-level=debug'];
    return launch(`upstream-${run}`, [path, ...flags], { METALLB_POD_NAME: 'upstream', METALLB_BGP_TYPE: 'frr' });
  };
  afterAll(async () => {
    for (const process of processes) await process.stop();
    run(['kubectl', 'delete', 'namespace', NAMESPACE, '--wait=false'], { env });
    directory.remove();
  });

  it('changes no address, in neither direction', async () => {
    kubectl(['apply', '-f', '-'], OBJECTS);
    const theirs = upstream(1);
    const given = await all(9);
    expect(given.wished).toBe('203.0.113.9');
    await theirs.stop();

    const quiet = ['--port', '0', '--health-probe-port', '0', '--webhook-mode', 'disabled'];
    const ours = launch('ours', [METALLB, 'controller', '--namespace', NAMESPACE, ...quiet]);
    kubectl(['apply', '-f', '-'], service('new'));
    const after = await all(10);
    expect(addresses()).toEqual({ ...given, new: after.new });
    await ours.stop();

    const again = upstream(2);
    kubectl(['apply', '-f', '-'], service('newer'));
    const last = await all(11);
    expect(addresses()).toEqual({ ...after, newer: last.newer });
    await again.stop();
  });

  it('is foretold by migrate, watched by the shadow, done by helm upgrade and undone by helm rollback', async () => {
    const helm = findTool(HELM);
    if (typeof helm === 'string') throw new Error(helm);
    const release = (...args: string[]) => must([helm.path, ...args, '--namespace', NAMESPACE], { env });
    // Nobody reaches webhooks here.
    const quiet = ['--set', 'crds.validationFailurePolicy=Ignore'];
    const theirChart = join(moduleFolder(METALLB_CONTROLLER), 'charts/metallb');
    // A cluster of MetalLB 0.15's does not have these.
    kubectl(['delete', 'crd', 'bgpsessionstatuses.metallb.io', 'configurationstates.metallb.io']);
    release('install', 'metallb', theirChart, '--take-ownership', ...quiet);
    const theirs = upstream(3);
    const before = await all(11);

    const migrate = () => runAsync([METALLB, 'migrate', '--namespace', NAMESPACE], { env });
    const foretold = await migrate();
    expect(foretold.stderr).toBe('');
    for (const line of [
      `controller ${NAMESPACE}/metallb-controller, quay.io/metallb/controller:v0.15.2, by Helm as metallb`,
      '2 IPAddressPools: read as they are',
      'the containers frr',
      `helm rollback metallb --namespace ${NAMESPACE}`,
    ])
      expect(foretold.stdout).toContain(line);
    expect(foretold.stdout).not.toMatch(new RegExp(`^ +${NAMESPACE}/.*: address:`, 'm'));

    const ports = ['--port', '0', '--health-probe-port', '0'];
    const shadow = launch('shadow', [METALLB, 'controller', '--shadow', '--namespace', NAMESPACE, ...ports]);
    await until('the shadow has compared', () => shadow.log().includes('shadowCompared'));
    await theirs.stop();
    kubectl(['apply', '-f', '-'], service('newest'));
    const missed = `${NAMESPACE}/newest: address: now no address, would be 203.0.113.`;
    await until('the shadow misses an address', () => shadow.log().includes(missed));
    expect(shadow.log()).not.toContain(`${NAMESPACE}/plain-1`);
    expect(addresses()).toEqual({ ...before, newest: '' });
    await shadow.stop();

    const image = () =>
      kubectl([
        '-n',
        NAMESPACE,
        'get',
        'deployment,daemonset',
        '-o',
        'jsonpath={.items[*].spec.template.spec.containers[*].image}',
      ]);
    release('upgrade', 'metallb', CHART, ...quiet);
    expect(image()).toMatch(/^quay\.io\/metallb-ts\/metallb:\S+ quay\.io\/metallb-ts\/metallb:\S+$/);
    expect(addresses()).toEqual({ ...before, newest: '' });
    release('rollback', 'metallb');
    expect(image()).toContain('quay.io/metallb/controller:v0.15.2');
    expect(addresses()).toEqual({ ...before, newest: '' });
    // Of their chart the CRDs would go with it, and every pool with them.
    release('upgrade', 'metallb', CHART, ...quiet);
    release('uninstall', 'metallb');
    expect(kubectl(['-n', NAMESPACE, 'get', 'ipaddresspools', '-o', 'name']).split('\n').filter(Boolean)).toHaveLength(
      2,
    );
  });
});
