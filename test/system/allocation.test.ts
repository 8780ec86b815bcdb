/**
 * What takes an address away or moves it (docs/behaviour/allocation.md#what-moves-or-takes-an-address), and every reason for having none: one case each, with
 * the controller process on the embedded API, or on the server that METALLB_TEST_KUBECONFIG points to.
 * @module
 */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type LabProcess, start } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { type ApiError, KubernetesClient, MERGE_PATCH } from '../../src/adapters/kubernetes/client.ts';
import { Connection } from '../../src/adapters/kubernetes/connection.ts';
import { collectionPath, objectPath, type ResourceName } from '../../src/adapters/kubernetes/resources.ts';
import type { KubernetesObject, Service } from '../../src/core/api/kubernetes.ts';
import { METALLB, type Standalone, scratch, startStandalone } from './processes.ts';

const REAL = process.env.METALLB_TEST_KUBECONFIG;

describe(`an address on ${REAL ?? 'the embedded API'}`, () => {
  const directory = scratch();
  const namespace = `alloc-${Math.random().toString(36).slice(2, 8)}`;
  const loadBalancerClass = `example.com/${namespace}`;
  let embedded: Standalone | undefined;
  let client: KubernetesClient;
  let kubeconfig: string;
  let controller: LabProcess;
  let starts = 0;

  /** Of the pool changes in these cases each stands for itself, so that there is no grace unless a case says so. */
  const launch = (...more: string[]) => {
    const quiet = ['--port', '0', '--health-probe-port', '0', '--webhook-mode', 'disabled'];
    const flags = more.includes('--pool-change-grace') ? more : ['--pool-change-grace', '0', ...more];
    const scope = ['--kubeconfig', kubeconfig, '--namespace', namespace, '--lb-class', loadBalancerClass];
    controller = start(
      'controller',
      [METALLB, 'controller', ...scope, ...quiet, ...flags],
      join(directory.path, `${++starts}.log`),
    );
  };
  const gone = async () => {
    controller.kill('SIGKILL');
    await controller.exited;
  };
  /** Another controller takes over, with these flags. */
  const again = async (...flags: string[]) => {
    await gone();
    launch(...flags);
    await until('the controller has begun', () => controller.log().includes('configuration loaded'));
  };
  const create = (resource: ResourceName, object: object) =>
    client.request({ method: 'POST', path: collectionPath(resource, namespace), body: object });
  const patch = (resource: ResourceName, name: string, body: object) => {
    const path = objectPath(resource, `${resource === 'namespaces' ? '' : namespace}/${name}`);
    return client.request({ method: 'PATCH', path, contentType: MERGE_PATCH, body });
  };
  /** Another controller writes these addresses into the status. */
  const intrude = async (name: string, ...addresses: string[]) => {
    const path = objectPath('services', `${namespace}/${name}`, 'status');
    const body = { status: { loadBalancer: { ingress: addresses.map((ip) => ({ ip })) } } };
    await client.request({ method: 'PATCH', path, contentType: MERGE_PATCH, body });
  };
  const remove = (resource: ResourceName, name: string) =>
    client.request({ method: 'DELETE', path: objectPath(resource, `${namespace}/${name}`) });
  const get = (name: string) => client.request<Service>({ path: objectPath('services', `${namespace}/${name}`) });
  const list = async (resource: ResourceName) =>
    (await client.request<{ items: KubernetesObject[] }>({ path: collectionPath(resource, namespace) })).items;
  const pool = (name: string, addresses: string, spec: object = {}) =>
    create('ipaddresspools', {
      apiVersion: 'metallb.io/v1beta1',
      kind: 'IPAddressPool',
      metadata: { name },
      spec: { addresses: addresses.split(' '), ...spec },
    });
  const service = (name: string, annotations: Record<string, string> = {}, spec: object = {}, labels: object = {}) =>
    create('services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, labels, annotations: prefixed(annotations) },
      spec: { type: 'LoadBalancer', loadBalancerClass, ports: [{ name: 'p', port: 80 }], ...spec },
    });
  const annotate = (name: string, annotations: Record<string, string | null>) =>
    patch('services', name, { metadata: { annotations: prefixed(annotations) } });
  const addressesOf = ({ status }: Service) => (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip).join(' ');
  const addresses = async (name: string) => addressesOf(await get(name));
  /** Follows the Service; what it gives ends that, with the addresses that the status showed at each change. */
  const follow = async (name: string) => {
    const { resourceVersion } = (await get(name)).metadata;
    const query = { watch: true, resourceVersion, fieldSelector: `metadata.name=${name}` };
    const seen: string[] = [];
    const cancel = client.open(
      { path: collectionPath('services', namespace), query },
      { onOpen: () => {}, onEvent: (_, object) => void seen.push(addressesOf(object as Service)), onClose: () => {} },
    );
    return async () => {
      const last = await addresses(name);
      await until(`the watch has come as far as ${last}`, () => seen.at(-1) === last);
      cancel();
      return seen;
    };
  };
  const has = (name: string, wanted: string) =>
    until(`${name} has ${wanted || 'no address'}`, async () => (await addresses(name)) === wanted);
  /** Nothing else happens: a Service that came later has been served, so everything before it was looked at. */
  const keeps = async (name: string, wanted: string) => {
    await create('ipaddresspools', {
      apiVersion: 'metallb.io/v1beta1',
      kind: 'IPAddressPool',
      metadata: { name: 'probe' },
      spec: { addresses: ['198.19.255.255/32'], autoAssign: false },
    });
    await service('probe', { 'address-pool': 'probe' });
    await has('probe', '198.19.255.255');
    expect(await addresses(name)).toBe(wanted);
  };
  const condition = async (name: string) =>
    (await get(name)).status?.conditions?.find(({ type }) => type === 'metallb.io/AddressAllocated');
  const says = (name: string, text: string) =>
    until(`${name} says ${text}`, async () => {
      const found = await condition(name);
      return found?.status === 'False' && found.message.includes(text);
    }).catch(async (error: Error) => {
      throw new Error(`${error.message}; it says ${JSON.stringify(await condition(name))}`);
    });
  const events = async (name: string) =>
    (
      (await list('events')) as (KubernetesObject & {
        involvedObject: { name: string };
        reason: string;
        message: string;
      })[]
    )
      .filter(({ involvedObject }) => involvedObject.name === name)
      .map(({ reason, message }) => `${reason}: ${message}`)
      .join('\n');
  const told = (name: string, text: string) =>
    until(`an event of ${name} says ${text}`, async () => (await events(name)).includes(text));

  beforeAll(async () => {
    if (REAL === undefined) embedded = await startStandalone(directory.path, ['--api-only']);
    kubeconfig = REAL ?? embedded!.kubeconfig;
    client = new KubernetesClient(Connection.open(kubeconfig), 'test');
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    await client.request({ method: 'POST', path: collectionPath('namespaces'), body });
    launch();
  });
  afterEach(async () => {
    for (const resource of ['services', 'ipaddresspools', 'events'] as const)
      for (const { metadata } of await list(resource)) {
        const gone = (error: ApiError) => {
          if (error.status !== 404) throw error;
        };
        if (metadata.finalizers) await patch(resource, metadata.name, { metadata: { finalizers: null } }).catch(gone);
        await remove(resource, metadata.name).catch(gone);
      }
  });
  afterAll(async () => {
    await controller.stop();
    await client.request({ method: 'DELETE', path: objectPath('namespaces', `/${namespace}`) });
    await embedded?.process.stop();
    directory.remove();
  });

  const TRIGGERS: readonly (readonly [string, () => Promise<unknown>])[] = [
    [
      'goes to who waits when its Service is deleted',
      async () => {
        await pool('p', '198.19.101.0/32');
        await service('a');
        await has('a', '198.19.101.0');
        await service('b');
        await says('b', 'pool "p" is exhausted');
        await remove('services', 'a');
        await has('b', '198.19.101.0');
      },
    ],
    [
      'goes to who waits when the type changes',
      async () => {
        await pool('p', '198.19.102.0/32');
        await service('a');
        await has('a', '198.19.102.0');
        await service('b');
        await says('b', 'exhausted');
        await patch('services', 'a', { spec: { type: 'ClusterIP', loadBalancerClass: null } });
        await has('b', '198.19.102.0');
        await has('a', '');
      },
    ],
    [
      'is told of no more when the Service waited for it and is no LoadBalancer any more',
      async () => {
        await service('a');
        await says('a', 'there is no IPAddressPool');
        await patch('services', 'a', { spec: { type: 'ClusterIP', loadBalancerClass: null } });
        await until('the condition goes', async () => (await condition('a')) === undefined);
      },
    ],
    [
      'leaves nothing behind when the type changes while the controller is away',
      async () => {
        await pool('p', '198.19.133.0/32');
        await service('a');
        await has('a', '198.19.133.0');
        await service('b');
        await says('b', 'exhausted');
        await gone();
        await patch('services', 'a', { spec: { type: 'ClusterIP', loadBalancerClass: null } });
        launch();
        await has('b', '198.19.133.0');
        await until('annotation and condition go', async () => {
          return (await owner('a')) === undefined && (await condition('a')) === undefined;
        });
        expect(await addresses('a')).toBe('');
      },
    ],
    [
      'is replaced when its pool is deleted',
      async () => {
        await pool('p', '198.19.103.0/32');
        await service('a');
        await has('a', '198.19.103.0');
        await pool('q', '198.19.103.8/32');
        await remove('ipaddresspools', 'p');
        await has('a', '198.19.103.8');
        await told('a', 'loses 198.19.103.0: address 198.19.103.0 is in no IPAddressPool');
      },
    ],
    [
      'is taken away when its pool is deleted and there is no other',
      async () => {
        await pool('p', '198.19.104.0/32');
        await service('a');
        await has('a', '198.19.104.0');
        await remove('ipaddresspools', 'p');
        await has('a', '');
        await says('a', 'there is no IPAddressPool');
      },
    ],
    [
      'is replaced when its pool shrinks',
      async () => {
        await pool('p', '198.19.105.0-198.19.105.3');
        await service('a', { loadBalancerIPs: '198.19.105.3' });
        await has('a', '198.19.105.3');
        await annotate('a', { loadBalancerIPs: null });
        await patch('ipaddresspools', 'p', { spec: { addresses: ['198.19.105.0/31'] } });
        await has('a', '198.19.105.0');
      },
    ],
    [
      'is replaced when avoidBuggyIPs is turned on and it ends in .0',
      async () => {
        await pool('p', '198.19.106.0/30');
        await service('a');
        await has('a', '198.19.106.0');
        await patch('ipaddresspools', 'p', { spec: { avoidBuggyIPs: true } });
        await has('a', '198.19.106.1');
        await told('a', 'which pool "p" avoids (avoidBuggyIPs)');
      },
    ],
    [
      'stays when its pool is renamed while the controller is away, and is of the new pool then',
      async () => {
        await pool('p', '198.19.107.0/30');
        await service('a', { loadBalancerIPs: '198.19.107.2' });
        await has('a', '198.19.107.2');
        await gone();
        await remove('ipaddresspools', 'p');
        await pool('renamed', '198.19.107.0/30');
        launch();
        await until('the annotation moves', async () => (await owner('a')) === 'renamed');
        await keeps('a', '198.19.107.2');
      },
    ],
    [
      'stays when a new pool appears',
      async () => {
        await pool('z', '198.19.108.0/30');
        await service('a');
        await has('a', '198.19.108.0');
        await pool('a', '198.19.108.8/30', { serviceAllocation: { priority: 1 } });
        await keeps('a', '198.19.108.0');
      },
    ],
    [
      'stays when autoAssign is turned off',
      async () => {
        await pool('p', '198.19.109.0/30');
        await service('a');
        await has('a', '198.19.109.0');
        await patch('ipaddresspools', 'p', { spec: { autoAssign: false } });
        await keeps('a', '198.19.109.0');
        await service('b');
        await says('b', 'pool "p" has autoAssign off');
      },
    ],
    [
      'is replaced when serviceAllocation no longer selects its Service',
      async () => {
        await pool('pinned', '198.19.110.0/30', {
          serviceAllocation: { serviceSelectors: [{ matchLabels: { tier: 'gold' } }] },
        });
        await pool('open', '198.19.110.8/30');
        await service('a', {}, {}, { tier: 'gold' });
        await has('a', '198.19.110.0');
        await patch('services', 'a', { metadata: { labels: { tier: 'iron' } } });
        await has('a', '198.19.110.8');
        await told('a', 'pool "pinned" is reserved for other namespaces or Services');
      },
    ],
    [
      'is replaced when the namespace loses the label that the pool selects',
      async () => {
        await patch('namespaces', namespace, { metadata: { labels: { team: 'a' } } });
        await pool('pinned', '198.19.111.0/30', {
          serviceAllocation: { namespaceSelectors: [{ matchLabels: { team: 'a' } }] },
        });
        await pool('open', '198.19.111.8/30');
        await service('a');
        await has('a', '198.19.111.0');
        await patch('namespaces', namespace, { metadata: { labels: { team: null } } });
        await has('a', '198.19.111.8');
      },
    ],
    [
      'is replaced when another pool is asked for, and taken away when that one has none',
      async () => {
        await pool('p', '198.19.112.0/30');
        await pool('q', '198.19.112.8/32');
        await service('a', { 'address-pool': 'p' });
        await has('a', '198.19.112.0');
        await annotate('a', { 'address-pool': 'q' });
        await has('a', '198.19.112.8');
        await told('a', 'the annotation address-pool requests pool "q"');
        await annotate('a', { 'address-pool': 'nowhere' });
        await has('a', '');
        await says('a', 'create the IPAddressPool, or correct the address-pool annotation');
      },
    ],
    [
      'is replaced when another address is asked for, by annotation or by field, and stays when the wish goes',
      async () => {
        await pool('p', '198.19.113.0/29');
        await service('a');
        await has('a', '198.19.113.0');
        await annotate('a', { loadBalancerIPs: '198.19.113.3' });
        await has('a', '198.19.113.3');
        await told('a', 'loses 198.19.113.0: it requests 198.19.113.3');
        await annotate('a', { loadBalancerIPs: null });
        await patch('services', 'a', { spec: { loadBalancerIP: '198.19.113.4' } });
        await has('a', '198.19.113.4');
        await patch('services', 'a', { spec: { loadBalancerIP: null } });
        await keeps('a', '198.19.113.4');
      },
    ],
    [
      'is replaced when the sharing key no longer fits, or the ports clash',
      async () => {
        await pool('p', '198.19.114.0/29');
        await service('a', { 'allow-shared-ip': 'k' });
        await service('b', { 'allow-shared-ip': 'k' }, { ports: [{ name: 'q', port: 443 }] });
        await has('a', '198.19.114.0');
        await has('b', '198.19.114.0');
        await annotate('b', { 'allow-shared-ip': 'other' });
        await has('b', '198.19.114.1');
        await service('c', { 'allow-shared-ip': 'k' }, { ports: [{ name: 'q', port: 8080 }] });
        await has('c', '198.19.114.0');
        await patch('services', 'c', { spec: { ports: [{ name: 'q', port: 80, protocol: 'TCP' }] } });
        await has('c', '198.19.114.2');
        await told('c', `port TCP/80 of address 198.19.114.0 is held by Service ${namespace}/a`);
      },
    ],
    [
      'is replaced when its Services no longer have the same endpoints under Local',
      async () => {
        await pool('p', '198.19.115.0/29');
        const spec = { selector: { app: 'x' }, externalTrafficPolicy: 'Cluster' };
        await service('a', { 'allow-shared-ip': 'k' }, spec);
        await service('b', { 'allow-shared-ip': 'k' }, { ...spec, ports: [{ name: 'q', port: 443 }] });
        await has('a', '198.19.115.0');
        await has('b', '198.19.115.0');
        await patch('services', 'b', { spec: { externalTrafficPolicy: 'Local' } });
        await has('b', '198.19.115.1');
        await patch('services', 'b', { spec: { externalTrafficPolicy: 'Cluster', selector: { app: 'y' } } });
        await keeps('b', '198.19.115.1');
      },
    ],
    [
      'gets company when the Service becomes dual-stack',
      async () => {
        await pool('p', '198.19.116.0/30 2001:db8:16::/126');
        await service('a');
        await has('a', '198.19.116.0');
        await patch('services', 'a', { spec: { ipFamilyPolicy: 'PreferDualStack' } });
        await has('a', '198.19.116.0 2001:db8:16::');
        await patch('services', 'a', { spec: { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'] } });
        await has('a', '198.19.116.0');
      },
    ],
    [
      'stays when the other one of its Service loses its pool',
      async () => {
        await pool('p', '198.19.130.100-198.19.130.110 2001:db8:77::100-2001:db8:77::110');
        await service('a', {}, { ipFamilyPolicy: 'RequireDualStack' });
        await has('a', '198.19.130.100 2001:db8:77::100');
        const seen = await follow('a');
        await patch('ipaddresspools', 'p', {
          spec: { addresses: ['198.19.130.100-198.19.130.110', '2001:db8:78::100-2001:db8:78::110'] },
        });
        await has('a', '198.19.130.100 2001:db8:78::100');
        await patch('ipaddresspools', 'p', { spec: { addresses: ['198.19.130.100-198.19.130.110'] } });
        await says('a', 'keeps 198.19.130.100 and gets no IPv6 address: pool "p" has no IPv6 addresses');
        await patch('ipaddresspools', 'p', { spec: { addresses: ['198.19.130.100/32', '2001:db8:79::/128'] } });
        await has('a', '198.19.130.100 2001:db8:79::');
        for (const addresses of await seen()) expect(addresses).toContain('198.19.130.100');
      },
    ],
    [
      'stays when its Service becomes single-stack while the controller is away',
      async () => {
        await pool('p', '198.19.131.0/32 2001:db8:31::/128');
        await service('a', {}, { ipFamilyPolicy: 'RequireDualStack' });
        await has('a', '198.19.131.0 2001:db8:31::');
        await gone();
        await patch('services', 'a', { spec: { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'] } });
        launch();
        await has('a', '198.19.131.0');
        expect(await events('a')).not.toContain('exhausted');
      },
    ],
    [
      'stays when another controller writes two of one family into the status, or one twice',
      async () => {
        await pool('p', '198.19.132.100-198.19.132.110 2001:db8:32::100-2001:db8:32::110');
        await service(
          'a',
          { loadBalancerIPs: '198.19.132.105,2001:db8:32::105' },
          { ipFamilyPolicy: 'RequireDualStack' },
        );
        await has('a', '198.19.132.105 2001:db8:32::105');
        for (const intruders of [
          ['198.19.132.105', '198.19.132.105'],
          ['198.19.132.104', '198.19.132.105'],
          ['198.19.132.104'],
        ]) {
          await intrude('a', ...intruders);
          await has('a', '198.19.132.105 2001:db8:32::105');
        }
        await annotate('a', { loadBalancerIPs: null });
        await gone();
        await intrude('a', '198.19.132.105', '198.19.132.104');
        launch();
        await has('a', '198.19.132.105 2001:db8:32::100');
        await service('b');
        await has('b', '198.19.132.100');
        await intrude('b', '198.19.132.100', '198.19.132.100');
        await has('b', '198.19.132.100');
      },
    ],
    [
      'stays while its pool is split, which is two writes',
      async () => {
        await pool('p', '198.19.134.0/29');
        await service('a', { loadBalancerIPs: '198.19.134.5' });
        await has('a', '198.19.134.5');
        await annotate('a', { loadBalancerIPs: null });
        await again('--pool-change-grace', '600');
        const seen = await follow('a');
        await patch('ipaddresspools', 'p', { spec: { addresses: ['198.19.134.0/30'] } });
        await service('b');
        await has('b', '198.19.134.0');
        expect(await owner('a')).toBe('p');
        await pool('q', '198.19.134.4/30');
        await until('the annotation moves', async () => (await owner('a')) === 'q');
        expect(new Set(await seen())).toEqual(new Set(['198.19.134.5']));
        await again();
      },
    ],
    [
      'is replaced after the grace when no pool takes it in',
      async () => {
        await pool('p', '198.19.135.0/29');
        await service('a', { loadBalancerIPs: '198.19.135.5' });
        await has('a', '198.19.135.5');
        await annotate('a', { loadBalancerIPs: null });
        await again('--pool-change-grace', '1');
        await patch('ipaddresspools', 'p', { spec: { addresses: ['198.19.135.0/30'] } });
        await has('a', '198.19.135.0');
        await told('a', 'loses 198.19.135.5: address 198.19.135.5 is in no IPAddressPool');
        await again();
      },
    ],
    [
      'stays while pool and request change one after the other',
      async () => {
        await pool('p', '198.19.136.0/29 2001:db8:36::/125');
        await service('a', { loadBalancerIPs: '198.19.136.5,2001:db8:36::5' }, { ipFamilyPolicy: 'RequireDualStack' });
        await has('a', '198.19.136.5 2001:db8:36::5');
        await again('--pool-change-grace', '600');
        const seen = await follow('a');
        await patch('ipaddresspools', 'p', { spec: { addresses: ['198.19.136.0/29', '2001:db8:37::/125'] } });
        await annotate('a', { loadBalancerIPs: '198.19.136.5,2001:db8:37::5' });
        await has('a', '198.19.136.5 2001:db8:37::5');
        await annotate('a', { loadBalancerIPs: '198.19.136.5,2001:db8:38::5' });
        await patch('ipaddresspools', 'p', { spec: { addresses: ['198.19.136.0/29', '2001:db8:38::/125'] } });
        await has('a', '198.19.136.5 2001:db8:38::5');
        for (const addresses of await seen()) expect(addresses).toMatch(/^198\.19\.136\.5 2001:db8:3.::5$/);
        await again();
      },
    ],
    [
      'is taken away for a wish that cannot be met, and the condition says so; not with --keep-address-until-served',
      async () => {
        await pool('p', '198.19.137.0/30');
        await service('a');
        await has('a', '198.19.137.0');
        await annotate('a', { loadBalancerIPs: '198.19.138.0' });
        await has('a', '');
        await says('a', '(it has lost 198.19.137.0: it requests 198.19.138.0)');
        await annotate('a', { loadBalancerIPs: null });
        await has('a', '198.19.137.0');
        await again('--keep-address-until-served');
        await annotate('a', { loadBalancerIPs: '198.19.138.0' });
        const text =
          'keeps 198.19.137.0 until it can have what it asks for: address 198.19.138.0 is in no IPAddressPool';
        await says('a', text);
        await told('a', text);
        expect(await addresses('a')).toBe('198.19.137.0');
        await pool('q', '198.19.138.0/32');
        await has('a', '198.19.138.0');
        await annotate('a', { loadBalancerIPs: null, 'address-pool': 'nowhere' });
        await says('a', 'keeps 198.19.138.0 until it can have what it asks for: pool "nowhere" does not exist');
        expect(await addresses('a')).toBe('198.19.138.0');
        await again();
      },
    ],
    [
      'stays over a kill -9 of the controller',
      async () => {
        await pool('p', '198.19.117.0/30');
        await service('a', { loadBalancerIPs: '198.19.117.2' });
        await has('a', '198.19.117.2');
        await annotate('a', { loadBalancerIPs: null });
        await gone();
        await service('b');
        launch();
        await has('b', '198.19.117.0');
        expect(await addresses('a')).toBe('198.19.117.2');
      },
    ],
  ];
  const owner = async (name: string) => (await get(name)).metadata.annotations?.['metallb.io/ip-allocated-from-pool'];

  it.each(TRIGGERS)('%s', async (_, run) => {
    await run();
  });

  const V4 = '198.19.120.0/30';
  const REASONS: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    [
      'there is no pool',
      () => service('s'),
      `there is no IPAddressPool in the namespace ${namespace}; create one there`,
    ],
    [
      'every pool is exhausted',
      async () => {
        await pool('p', '198.19.120.0/32');
        await service('first');
        await has('first', '198.19.120.0');
        await service('s');
      },
      'pool "p" is exhausted; add addresses to a pool, or delete a Service that holds one',
    ],
    [
      'the pool has the wrong family',
      async () => {
        await pool('p', '2001:db8:20::/126');
        await service('s');
      },
      'pool "p" has no IPv4 addresses',
    ],
    [
      'the pool has nothing but what it avoids',
      async () => {
        await pool('p', '198.19.120.0/32', { avoidBuggyIPs: true });
        await service('s');
      },
      'pool "p" has no IPv4 addresses but those that end in .0 or .255, which it avoids (avoidBuggyIPs)',
    ],
    [
      'a dual-stack Service asks for one address',
      async () => {
        await pool('p', `${V4} 2001:db8:20::/126`);
        await service('s', { loadBalancerIPs: '198.19.120.1' }, { ipFamilyPolicy: 'RequireDualStack' });
      },
      'request one of each with the annotation metallb.io/loadBalancerIPs, or set ipFamilyPolicy SingleStack',
    ],
    [
      'who has the address has no sharing key',
      async () => {
        await pool('p', V4);
        await service('first');
        await has('first', '198.19.120.0');
        await service('s', { 'allow-shared-ip': 'k', loadBalancerIPs: '198.19.120.0' }, { ports: [{ port: 81 }] });
      },
      `address 198.19.120.0 is in use by Service ${namespace}/first, which has no sharing key`,
    ],
    [
      'who has the address is being deleted',
      async () => {
        await pool('p', V4);
        await service('first');
        await has('first', '198.19.120.0');
        await patch('services', 'first', { metadata: { finalizers: ['example.com/wait'] } });
        await remove('services', 'first');
        await service('s', { loadBalancerIPs: '198.19.120.0' });
      },
      'which is being deleted and waits for its finalizers example.com/wait',
    ],
    [
      'the pool is reserved for other Services',
      async () => {
        await pool('p', V4, { serviceAllocation: { serviceSelectors: [{ matchLabels: { a: 'b' } }] } });
        await service('s');
      },
      'pool "p" is reserved for other namespaces or Services (serviceAllocation)',
    ],
    [
      'the pool is reserved for other namespaces, whatever its priority',
      async () => {
        await pool('p', V4, { serviceAllocation: { priority: 1, namespaces: ['elsewhere'] } });
        await service('s');
      },
      'pool "p" is reserved for other namespaces or Services (serviceAllocation)',
    ],
    [
      'the pool is reserved for namespaces that do not exist',
      async () => {
        await pool('p', V4, { serviceAllocation: { namespaceSelectors: [{ matchLabels: { no: 'such' } }] } });
        await service('s', { 'address-pool': 'p' });
      },
      'pool "p" is reserved for other namespaces or Services (serviceAllocation)',
    ],
    [
      'the pool has autoAssign off',
      async () => {
        await pool('p', V4, { autoAssign: false });
        await service('s');
      },
      'pool "p" has autoAssign off; request the pool with the annotation metallb.io/address-pool, or set autoAssign',
    ],
    [
      'the pool that is asked for does not exist',
      () => service('s', { 'address-pool': 'p' }),
      'pool "p" does not exist',
    ],
    [
      'the address that is asked for is in no pool',
      async () => {
        await pool('p', V4);
        await service('s', { loadBalancerIPs: '198.19.120.9' });
      },
      'address 198.19.120.9 is in no IPAddressPool; add it to one, or request another address',
    ],
    [
      'the address that is asked for is one that the pool avoids',
      async () => {
        await pool('p', V4, { avoidBuggyIPs: true });
        await service('s', { loadBalancerIPs: '198.19.120.0' });
      },
      'address 198.19.120.0 ends in .0 or .255, which pool "p" avoids (avoidBuggyIPs); request another address',
    ],
    [
      'the address that is asked for is in use',
      async () => {
        await pool('p', V4);
        await service('first');
        await has('first', '198.19.120.0');
        await service('s', { loadBalancerIPs: '198.19.120.0' });
      },
      `address 198.19.120.0 is in use by Service ${namespace}/first; request another address, or release it there`,
    ],
    [
      'the address that is asked for is in use under another key',
      async () => {
        await pool('p', V4);
        await service('first', { 'allow-shared-ip': 'theirs' });
        await has('first', '198.19.120.0');
        await service('s', { 'allow-shared-ip': 'ours', loadBalancerIPs: '198.19.120.0' }, { ports: [{ port: 81 }] });
      },
      `address 198.19.120.0 is in use by Service ${namespace}/first under another sharing key; use one key for both`,
    ],
    [
      'the port is taken on the shared address',
      async () => {
        await pool('p', '198.19.120.0/32');
        await service('first', { 'allow-shared-ip': 'k' });
        await has('first', '198.19.120.0');
        await service('s', { 'allow-shared-ip': 'k' });
      },
      `port TCP/80 of address 198.19.120.0 is held by Service ${namespace}/first; use another port`,
    ],
    [
      'the shared address has other endpoints',
      async () => {
        await pool('p', '198.19.120.0/32');
        const local = (app: string) => ({ externalTrafficPolicy: 'Local', selector: { app } });
        await service('first', { 'allow-shared-ip': 'k' }, local('x'));
        await has('first', '198.19.120.0');
        await service('s', { 'allow-shared-ip': 'k' }, { ...local('y'), ports: [{ port: 81 }] });
      },
      `is shared with Service ${namespace}/first, which has other endpoints`,
    ],
    [
      'the address is of another pool than the one that is asked for',
      async () => {
        await pool('p', V4);
        await pool('q', '198.19.120.8/30');
        await service('s', { 'address-pool': 'q', loadBalancerIPs: '198.19.120.0' });
      },
      'the address is from pool "p", but the annotation address-pool requests pool "q"',
    ],
    [
      'the two addresses that are asked for are of different pools',
      async () => {
        await pool('p', V4);
        await pool('q', '2001:db8:20::/126');
        const spec = { ipFamilyPolicy: 'RequireDualStack' };
        await service('s', { loadBalancerIPs: '198.19.120.0,2001:db8:20::' }, spec);
      },
      'the addresses are from different pools (p, q); request addresses from one pool',
    ],
    [
      'the address that is asked for is of the wrong family',
      async () => {
        await pool('p', `${V4} 2001:db8:20::/126`);
        await service('s', { loadBalancerIPs: '2001:db8:20::' });
      },
      'it requests an address of IPv6, but its cluster IPs are IPv4; request IPv4 only',
    ],
    [
      'the wish is no address',
      () => service('s', { loadBalancerIPs: '198.19.120' }),
      'annotation metallb.io/loadBalancerIPs: "198.19.120" is not an IP address; write one from a pool',
    ],
    [
      'the wish is two addresses of one family',
      () => service('s', { loadBalancerIPs: '198.19.120.0, 198.19.120.1' }),
      'more than one IPv4 address; request at most one of each family',
    ],
    [
      'the wish is made twice',
      () => service('s', { loadBalancerIPs: '198.19.120.0' }, { loadBalancerIP: '198.19.120.1' }),
      'annotation metallb.io/loadBalancerIPs and spec.loadBalancerIP are both set; remove one of them',
    ],
    [
      'no pool has both families that the Service requires',
      async () => {
        await pool('p', V4);
        await pool('q', '2001:db8:20::/126');
        await service('s', {}, { ipFamilyPolicy: 'RequireDualStack' });
      },
      'pool "q" has no IPv4 addresses, and one pool has to give both families (RequireDualStack); add the other family',
    ],
  ];

  describe('is missing', () => {
    it.each(REASONS)('because %s', async (_, run, text) => {
      await run();
      await says('s', text);
      expect(await addresses('s')).toBe('');
      // The same words reach `kubectl describe`, once.
      await told('s', text);
      expect((await events('s')).split('\n').filter((line) => line.includes(text))).toHaveLength(1);
    });
  });
});

function prefixed<T>(annotations: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(annotations).map(([key, value]) => [`metallb.io/${key}`, value]));
}
