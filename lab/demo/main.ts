/**
 * `npm run demo`, `npm run demo -- --bgp`: a LAN of network namespaces, a cluster on it, and the users' own manifests. Everything is real but the
 * LAN: sockets, ARP, kubectl, curl. Nothing stays behind.
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, MANIFESTS } from '../kubernetes/cluster.ts';
import { askByArp, askByNdp, fetchPage, LAN6, type LanHost, neighbour, soleOwner } from '../net/lan.ts';
import { isInside, prepareInside, runInside, whyNoSandbox } from '../net/sandbox.ts';
import { until } from '../net/waiting.ts';
import { tellBgp, whyNoBgpDemo } from './bgp.ts';
import { bold, milliseconds, proved, red, say, show, step } from './output.ts';

async function main(): Promise<number> {
  const isBgp = process.argv.includes('--bgp');
  if (isInside()) return inside(process.argv[2]!, isBgp ? tellBgp : tell);
  const obstacle = whyNoSandbox() ?? (isBgp ? whyNoBgpDemo() : undefined);
  if (obstacle !== undefined) {
    process.stderr.write(`demo: ${obstacle}\n`);
    return 1;
  }
  const directory = mkdtempSync(join(tmpdir(), 'metallb-demo-'));
  try {
    return await runInside(import.meta.filename, [directory, ...(isBgp ? ['--bgp'] : [])]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function inside(directory: string, story: typeof tell): Promise<number> {
  const began = performance.now();
  prepareInside();
  const cluster = new Cluster({ directory, nodes: 3 });
  const interrupted = new Promise<number>((resolve) => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const)
      process.once(signal, () => resolve(code));
  });
  const told = story(cluster).then(
    () => {
      process.stdout.write(
        `\n${bold('Done')} in ${((performance.now() - began) / 1000).toFixed(1)} s. Everything that the demo made is gone.\n`,
      );
      return 0;
    },
    (error: Error) => {
      process.stderr.write(`\n${red('The demo failed:')} ${error.message}\n`);
      for (const name of ['api', 'controller', ...cluster.nodes.map((node) => `speaker-${node.name}`)]) {
        try {
          const log =
            cluster.speakers.get(name.replace('speaker-', ''))?.log() ??
            (name === 'controller' ? cluster.controller?.log() : undefined);
          if (log) process.stderr.write(`\n--- the last lines of ${name}\n${log.split('\n').slice(-12).join('\n')}\n`);
        } catch {
          // No log, nothing to show.
        }
      }
      return 1;
    },
  );
  const code = await Promise.race([told, interrupted]);
  if (code > 128) process.stderr.write('\ninterrupted; cleaning up\n');
  await cluster.stop();
  return code;
}

async function tell(cluster: Cluster): Promise<void> {
  const kubectl = (...args: string[]) => {
    const result = cluster.kubectl(args);
    if (result.status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr || result.stdout}`);
    return result.stdout;
  };
  const apply = (file: string) => show(`kubectl apply -f ${file}`, kubectl('apply', '-f', join(MANIFESTS, file)));
  const services = (...args: string[]) =>
    show(`kubectl get services ${args.join(' ')}`, kubectl('get', 'services', ...args));
  const { client } = cluster;

  step('A LAN of three nodes and a client; Kubernetes API, controller and three speakers as processes');
  let since = performance.now();
  await cluster.startApi();
  say(`embedded Kubernetes API answers after ${milliseconds(since)}`);
  since = performance.now();
  cluster.startController();
  await cluster.startSpeakers();
  cluster.startStandIn();
  say(`three speakers are ready after ${milliseconds(since)}`);
  for (const node of cluster.nodes)
    say(`${node.name}  ${node.address}  ${node.mac}  speaker pid ${cluster.speakers.get(node.name)?.pid}`);
  say(`client  ${client.address}`);

  step('A Service of type LoadBalancer, as on any bare-metal cluster: pending');
  apply('raspberry-hello-deployment.yaml');
  await until('the controller has looked at it', () =>
    kubectl('describe', 'service', 'echo-service').includes('AllocationFailed'),
  );
  services();
  if (cluster.addressOf('default', 'echo-service') !== undefined)
    throw new Error('echo-service has an address although there is no pool');
  proved('EXTERNAL-IP is <pending>: there is no pool yet');

  step('A pool of addresses, and who may announce them');
  since = performance.now();
  apply('raspberry-address-pool.yaml');
  apply('l2-all-pools.yaml');
  const address = await until('echo-service gets an address', () => cluster.addressOf('default', 'echo-service'));
  const allocated = milliseconds(since);
  services();
  proved(`EXTERNAL-IP is ${address}, ${allocated} after the pool was applied (kubectl's own time included)`);

  step('The network finds it: the client asks "who has it", the owner answers');
  await getsPage(client, address);
  show(`curl http://${address}`, client.run(['curl', '-s', '-i', `http://${address}/`]).stdout.replaceAll('\r', ''));
  show(`ip neighbour show ${address}`, client.run(['ip', 'neighbour', 'show', address]).stdout);
  const owner = await soleOwner(client, cluster.nodes, address);
  const answers = await askByArp(client, address);
  show(`arping -I eth0 -c 3 ${address}`, answers.map((mac) => `reply from ${mac}`).join('\n'));
  if (answers.length !== 1) throw new Error(`${answers.length} stations answer for ${address}`);
  proved(`${owner.name} owns ${address}, and nobody else answers`);

  step('A Service that asks for its address: spec.loadBalancerIP');
  kubectl('create', 'namespace', 'ingress');
  apply('homelab-pool.yaml');
  apply('homelab-ingress-service.yaml');
  apply('ingress-deployment.yaml');
  const wished = await until('ingress gets its address', () => cluster.addressOf('ingress', 'ingress'));
  services('-n', 'ingress');
  if (wished !== '192.168.88.44') throw new Error(`ingress got ${wished}`);
  client.run(['ip', 'route', 'add', '192.168.88.0/24', 'dev', 'eth0']);
  await getsPage(client, wished);
  show(`curl http://${wished}`, client.run(['curl', '-s', `http://${wished}/`]).stdout);
  proved(`it has ${wished}, as it asked`);

  step('IPv6 too: a Service with an address of each family');
  const six = await serveBoth(cluster, kubectl);
  services('dual');
  show(`ndisc6 -m ${six} eth0`, (await askByNdp(client, six)).map((mac) => `advertisement from ${mac}`).join('\n'));
  show(`curl http://[${six}]`, client.run(['curl', '-s', '-g', `http://[${six}]/`]).stdout);
  proved('one node answers for both: ARP for IPv4, Neighbor Discovery for IPv6');

  step('A pool that is exhausted: the next Service stays pending, and says why');
  kubectl('create', 'namespace', 'demo');
  const pool =
    'apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: small, namespace: metallb-system}\nspec: {autoAssign: false, addresses: [192.168.1.60/32]}\n';
  const service = (name: string) =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: demo, annotations: {metallb.io/address-pool: small}}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n`;
  cluster.kubectl(['apply', '-f', '-'], pool);
  cluster.kubectl(['apply', '-f', '-'], service('first'));
  await until('the first one gets the only address', () => cluster.addressOf('demo', 'first'));
  cluster.kubectl(['apply', '-f', '-'], service('second'));
  const described = await until('the reason is told', () => {
    const text = kubectl('describe', 'service', '-n', 'demo', 'second');
    return /AllocationFailed/.test(text) && text;
  });
  services('-n', 'demo');
  show('kubectl describe service -n demo second | grep -A 9 ^Events', described.slice(described.indexOf('Events:')));
  if (!described.includes('pool "small" is exhausted')) throw new Error('the reason does not name the pool');
  proved('the Event names the pool and the cure');

  step('Deletion recycles the address');
  since = performance.now();
  show('kubectl delete service -n demo first', kubectl('delete', 'service', '-n', 'demo', 'first'));
  const recycled = await until('the second one gets the address', () => cluster.addressOf('demo', 'second'));
  const took = milliseconds(since);
  services('-n', 'demo');
  proved(`second has ${recycled}, ${took} after the deletion`);

  step('A node dies: power off, cable dead, no goodbye');
  kubectl('patch', 'deployment', 'echo-deployment', '-p', '{"spec":{"replicas":3}}');
  await until(
    'three replicas run',
    () => kubectl('get', 'deployment', 'echo-deployment', '-o', 'jsonpath={.status.readyReplicas}') === '3',
  );
  say(`killing ${owner.name}, which owns ${address}`);
  since = performance.now();
  const killing = cluster.killNode(owner);
  // Short, for the sake of the measure; longer and longer, for the sake of slow machines.
  let patience = 0.2;
  const successor = await until(
    'another node answers',
    async () => {
      const { stdout } = await client.runAsync([
        'curl',
        '-s',
        '--connect-timeout',
        patience.toFixed(2),
        '--max-time',
        (2 * patience).toFixed(2),
        `http://${address}/`,
      ]);
      patience = Math.min(5, patience * 1.05);
      const mac = neighbour(client, address);
      return stdout.includes('hello-world') && mac !== owner.mac ? cluster.nodeByMac(mac) : undefined;
    },
    { interval: 10 },
  );
  const outage = milliseconds(since);
  await killing;
  await getsPage(client, address);
  show(`curl http://${address}`, client.run(['curl', '-s', `http://${address}/`]).stdout);
  show(`ip neighbour show ${address}`, client.run(['ip', 'neighbour', 'show', address]).stdout);
  proved(`${successor.name} answers, ${outage} after ${owner.name} died (the client's own timeouts included)`);
  await getsPage(client, six);
  proved(`the dual-stack Service is served too, by ${cluster.nodeByMac(neighbour(client, six))?.name ?? 'nobody'}`);
  services('--all-namespaces');
}

/** A Service with both families for the replicas of the demo; returns its IPv6 address. */
async function serveBoth(cluster: Cluster, kubectl: (...args: string[]) => string): Promise<string> {
  const { labels } = JSON.parse(kubectl('get', 'deployment', 'echo-deployment', '-o', 'json')).spec.template.metadata;
  const ports = JSON.parse(kubectl('get', 'service', 'echo-service', '-o', 'json')).spec.ports;
  const addresses = [`${LAN6}200-${LAN6}2ff`, '192.168.1.40-192.168.1.49'];
  const spec = {
    type: 'LoadBalancer',
    ipFamilyPolicy: 'RequireDualStack',
    selector: labels,
    ports: [{ port: 80, targetPort: ports[0].targetPort }],
  };
  const annotations = { 'metallb.io/address-pool': 'dual' };
  for (const object of [
    {
      apiVersion: 'metallb.io/v1beta1',
      kind: 'IPAddressPool',
      metadata: { name: 'dual', namespace: 'metallb-system' },
      spec: { addresses, autoAssign: false },
    },
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'dual', annotations }, spec },
  ]) {
    const { status, stderr } = cluster.kubectl(['apply', '-f', '-'], JSON.stringify(object));
    if (status !== 0) throw new Error(stderr);
  }
  const path = 'jsonpath={.status.loadBalancer.ingress[*].ip}';
  const both = await until('both addresses', () => {
    const found = kubectl('get', 'service', 'dual', '-o', path).split(' ');
    return found.length === 2 && found;
  });
  for (const address of both) await getsPage(cluster.client, address);
  return both[1]!;
}

async function getsPage(client: LanHost, address: string): Promise<void> {
  await until(`curl http://${address} gets the page`, async () => {
    const page = await fetchPage(client, address);
    return page.includes('hello-world');
  });
}

process.exitCode = await main();
process.exit();
