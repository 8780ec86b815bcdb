import { describe, expect, it } from 'vitest';
import { configured, LAN, namespace, node, pool, service } from '../../../test/builders.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { ADVERTISED_CONDITION, ALLOCATED_CONDITION, EFFECTIVE_CONDITION } from '../reasons/conditions.ts';
import { controllerMachine } from './fsm.ts';
import { SURROUNDINGS_DELAY } from './look-around.ts';
import {
  CONTROLLER_RESOURCES,
  type ControllerInput,
  type ControllerOutput,
  type ControllerResource,
  initialController,
} from './state.ts';

type Objects = Readonly<Partial<Record<ControllerResource, readonly KubernetesObject[]>>>;

/** What a controller outputs about these objects once it has looked around, and after each change then. */
function controller(objects: Objects) {
  let state = initialController({ loadBalancerClass: '' });
  let now = 0;
  let outputs: ControllerOutput[] = [];
  const feed = (input: ControllerInput | { kind: 'tick' }) => {
    const result = controllerMachine.step(state, input, now);
    state = result.next;
    for (const output of result.outputs) {
      outputs.push(output);
      if (output.kind === 'write-status') {
        const { resource, key } = output;
        feed({ kind: 'written', resource, object: state.cache.get(resource, key)! });
      }
    }
  };
  const look = () => {
    now += SURROUNDINGS_DELAY;
    feed({ kind: 'tick' });
    const seen = outputs;
    outputs = [];
    return seen;
  };
  for (const resource of CONTROLLER_RESOURCES) {
    const defaults: Objects = { namespaces: [namespace('default')], nodes: [node('n1')] };
    feed({ kind: 'replaced', resource, objects: objects[resource] ?? defaults[resource] ?? [] });
  }
  return { feed, look, seen: () => outputs };
}

const events = (outputs: readonly ControllerOutput[]) =>
  outputs.flatMap((output) =>
    output.kind === 'emit-event' ? `${output.target.name} ${output.reason}: ${output.message}` : [],
  );
const warned = (outputs: readonly ControllerOutput[]) =>
  events(outputs).filter((text) => !text.includes('IPAllocated'));
const effective = (outputs: readonly ControllerOutput[]) =>
  outputs.flatMap((output) => {
    if (output.kind !== 'write-status') return [];
    const { note } = output.wishes.find(({ type }) => type === EFFECTIVE_CONDITION) ?? {};
    return note === undefined ? [] : [`${output.key.split('/')[1]} ${note.status}: ${note.message}`];
  });
const condition = (outputs: readonly ControllerOutput[]) =>
  outputs
    .flatMap((output) => (output.kind === 'write-service' ? output.wishes : []))
    .find(({ type }) => type === ADVERTISED_CONDITION)?.note;
const served = { ipaddresspools: [pool('p', ['192.0.2.0/28'])], services: [service('a')] };

describe('a Service with an address', () => {
  it.each<[string, Objects, string | undefined]>([
    ['of a pool that a layer 2 advertisement covers', { l2advertisements: [LAN] }, undefined],
    ['of a pool that nothing covers', {}, 'no L2Advertisement and no BGPAdvertisement covers pool "p"'],
    [
      'of another pool than the one that is advertised',
      { l2advertisements: [configured('lan', { ipAddressPools: ['q'] })] },
      'no L2Advertisement and no BGPAdvertisement covers pool "p"',
    ],
    [
      'whose advertisement is for other Services',
      { l2advertisements: [configured('lan', { serviceSelectors: [{ matchLabels: { a: 'b' } }] })] },
      'L2Advertisement lan is for other Services',
    ],
    [
      'whose advertisement is for no node',
      { l2advertisements: [configured('lan', { nodeSelectors: [{ matchLabels: { rack: '7' } }] })] },
      'L2Advertisement lan is for no node that there is',
    ],
    ['that no router is to hear of', { bgpadvertisements: [configured('dc')] }, 'BGPAdvertisement dc is for no router'],
    [
      'whose routers are no peers of the nodes',
      {
        bgpadvertisements: [configured('dc')],
        bgppeers: [
          configured('tor', {
            myASN: 64500,
            peerASN: 64501,
            peerAddress: '192.0.2.99',
            nodeSelectors: [{ matchLabels: { rack: '7' } }],
          }),
        ],
      },
      'BGPAdvertisement dc is for nodes that have no session with its routers',
    ],
    [
      'with one advertisement of two that does',
      { bgpadvertisements: [configured('dc')], l2advertisements: [LAN] },
      undefined,
    ],
    [
      'whose nodes are not known',
      { nodes: [], l2advertisements: [configured('lan', { nodeSelectors: [{ matchLabels: { rack: '7' } }] })] },
      undefined,
    ],
  ])('%s', (_case, objects, expected) => {
    const c = controller({ ...served, ...objects });
    const said = warned(c.look());
    if (expected === undefined) expect(said).toEqual([]);
    else
      expect(said).toEqual([
        expect.stringContaining(`a notAdvertised: the Service has an address, and nothing announces it: ${expected}`),
      ]);
  });

  it('says it in a condition, once, and takes it back', () => {
    const c = controller(served);
    const { key, wishes } = c.seen().find((output) => output.kind === 'write-service')!;
    expect(wishes.map(({ type }) => type)).toEqual([ALLOCATED_CONDITION]);
    expect(warned(c.look())).toHaveLength(1);
    c.feed({ kind: 'written', resource: 'services', object: service(key.split('/')[1]!, {}, {}, ['192.0.2.0']) });
    expect(condition(c.seen())).toMatchObject({ status: 'False', reason: 'NotAdvertised' });
    expect(warned(c.look())).toEqual([]);
    c.feed({ kind: 'applied', resource: 'l2advertisements', object: LAN });
    expect(warned(c.look())).toEqual([]);
    c.feed({ kind: 'deleted', resource: 'l2advertisements', object: LAN });
    expect(warned(c.look())).toHaveLength(1);
  });

  it('is not called silent because its pool came a moment before the advertisement', () => {
    const c = controller({ services: [service('a')] });
    c.look();
    c.feed({ kind: 'applied', resource: 'ipaddresspools', object: served.ipaddresspools[0]! });
    c.feed({ kind: 'applied', resource: 'l2advertisements', object: LAN });
    expect(warned(c.seen())).toEqual([]);
    expect(warned(c.look())).toEqual([]);
  });

  const addressed = (address: string) => ({
    ...node('n1'),
    spec: { podCIDRs: ['10.42.0.0/24'] },
    status: { addresses: [{ type: 'InternalIP', address }] },
  });
  it.each([
    ['a node has', [addressed('192.0.2.0')], [], '192.0.2.0/28', 'address 192.0.2.0 is also the InternalIP of Node n1'],
    ['another address of a node has not', [addressed('192.0.2.1')], [], '192.0.2.0/28', undefined],
    [
      'is in a Pod network',
      [addressed('192.0.2.1')],
      [],
      '10.42.0.8/29',
      'address 10.42.0.8 is in 10.42.0.0/24, the Pod network of Node n1',
    ],
    [
      'another Service has inside of the cluster',
      [],
      [service('dns', { type: 'ClusterIP', clusterIP: '10.96.0.2', clusterIPs: ['10.96.0.2'] })],
      '10.96.0.2/32',
      'address 10.96.0.2 is also the cluster IP of Service default/dns',
    ],
  ])('is told when it gets one that %s', (_case, nodes, others, addresses, expected) => {
    const c = controller({
      nodes,
      services: [service('a'), ...others],
      ipaddresspools: [pool('p', [addresses])],
      l2advertisements: [LAN],
    });
    const said = warned(c.look());
    if (expected === undefined) expect(said).toEqual([]);
    else
      expect(said).toEqual([`a foreignAddress: ${expected}, so packets to it may go there; take it out of pool "p"`]);
  });
});

describe('a valid object', () => {
  it.each<[string, ControllerResource, object, string]>([
    [
      'a pool that does not exist',
      'l2advertisements',
      { ipAddressPools: ['p', 'q'] },
      'spec.ipAddressPools[1]: "q": there is no IPAddressPool of this name',
    ],
    [
      'pools with labels that none has',
      'bgpadvertisements',
      { ipAddressPoolSelectors: [{ matchLabels: { a: 'b' } }] },
      'no IPAddressPool has such labels',
    ],
    [
      'nodes with labels that none has',
      'l2advertisements',
      { nodeSelectors: [{ matchLabels: { a: 'b' } }] },
      'no Node has such labels',
    ],
    [
      'a peer that does not exist',
      'bgpadvertisements',
      { peers: ['tor'] },
      'spec.peers[0]: "tor": there is no BGPPeer of this name',
    ],
    [
      'nodes, as a peer, with labels that none has',
      'bgppeers',
      { myASN: 1, peerASN: 2, peerAddress: '192.0.2.99', nodeSelectors: [{ matchLabels: { a: 'b' } }] },
      'no Node has such labels',
    ],
    [
      'a namespace that does not exist',
      'ipaddresspools',
      { addresses: ['198.51.100.0/24'], serviceAllocation: { namespaces: ['shop'] } },
      'there is no Namespace of this name',
    ],
  ])('says in a condition that it names %s', (_case, resource, spec, expected) => {
    const objects = {
      l2advertisements: [LAN],
      ...served,
      [resource]: [...(resource === 'ipaddresspools' ? served.ipaddresspools : []), configured('x', spec)],
    };
    const c = controller(objects);
    expect(effective(c.look())).toEqual([expect.stringContaining(expected)]);
  });

  it('goes on saying so when the controller starts again', () => {
    const message =
      'spec.ipAddressPools[0]: "q": there is no IPAddressPool of this name; create it, or correct the name';
    const condition = { type: EFFECTIVE_CONDITION, status: 'False', reason: 'MatchesNothing', message };
    const advertisement = { ...configured('x', { ipAddressPools: ['q'] }), status: { conditions: [condition] } };
    const c = controller({ ...served, l2advertisements: [LAN, advertisement] });
    expect(effective(c.seen())).toEqual([]);
    expect(effective(c.look())).toEqual([]);
  });

  it('with everything in place says nothing, and takes back what it said', () => {
    const c = controller({ ...served, l2advertisements: [configured('lan', { ipAddressPools: ['p'] })] });
    expect(effective(c.look()).filter((text) => text.includes('False'))).toEqual([]);
  });

  it('that is a pool which nothing advertises says so', () => {
    const c = controller({ ipaddresspools: served.ipaddresspools });
    expect(effective(c.look())).toEqual([
      expect.stringContaining(
        'p False: metadata.name: "p": no L2Advertisement and no BGPAdvertisement covers this pool',
      ),
    ]);
  });
});
