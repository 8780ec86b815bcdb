import { describe, expect, it } from 'vitest';
import { configured, namespace, node, service, speakerPod } from '../../../test/builders.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { Cache } from './cache.ts';

const RESOURCES = ['nodes', 'pods', 'namespaces', 'services', 'bgppeers'] as const;
type Resource = (typeof RESOURCES)[number];

/** Whether an update from `before` to `after` (which gets another resourceVersion) counts as a change. */
function isChange(resource: Resource, before: KubernetesObject, after: KubernetesObject): boolean {
  const cache = new Cache<Resource>(RESOURCES);
  cache.apply({ kind: 'replaced', resource, objects: [before] });
  const object = { ...after, metadata: { ...after.metadata, resourceVersion: 'later' } };
  return cache.apply({ kind: 'applied', resource, object }).length > 0;
}

const worker = node('w', { zone: 'a' });
const withConditions = (...conditions: { type: string; status: string }[]) => ({ ...worker, status: { conditions } });
const up = { type: 'Ready', status: 'True' };
const cut = { type: 'NetworkUnavailable', status: 'True' };
const linked = { type: 'NetworkUnavailable', status: 'False' };
const pod = speakerPod('w');
const peer = configured('r', { peerASN: 1 });
const annotated = (object: KubernetesObject, annotations: Record<string, string>) => ({
  ...object,
  metadata: { ...object.metadata, annotations },
});

describe('what counts as a change of an object', () => {
  it.each<[string, Resource, KubernetesObject, KubernetesObject]>([
    ['a node that loses its network', 'nodes', withConditions(up), withConditions(up, cut)],
    ['a node whose network is back', 'nodes', withConditions(cut, up), withConditions(linked, up)],
    ['an annotation of a node', 'nodes', worker, annotated(worker, { any: 'thing' })],
    ['a node that is cordoned', 'nodes', worker, { ...worker, spec: { unschedulable: true } } as KubernetesObject],
    ['a Pod that moves', 'pods', pod, speakerPod('w', '192.0.2.9')],
    ['labels of a namespace', 'namespaces', namespace('n'), namespace('n', { team: 'a' })],
    ['anything of a Service', 'services', service('s'), annotated(service('s'), { any: 'thing' })],
    ['an annotation of ours on a peer', 'bgppeers', peer, annotated(peer, { 'metallb.io/med': '1' })],
  ])('%s', (_, resource, before, after) => expect(isChange(resource, before, after)).toBe(true));

  it.each<[string, Resource, KubernetesObject, KubernetesObject]>([
    [
      'what a node reports of its health',
      'nodes',
      withConditions(up),
      withConditions({ type: 'Ready', status: 'False' }),
    ],
    ['the order of conditions', 'nodes', withConditions(up, cut), withConditions(cut, up)],
    ['an annotation of others on a peer', 'bgppeers', peer, annotated(peer, { 'other.io/x': '1' })],
    ['the status of a configuration object', 'bgppeers', peer, { ...peer, status: {} } as KubernetesObject],
  ])('not %s', (_, resource, before, after) => expect(isChange(resource, before, after)).toBe(false));

  it('nothing of an object that has the resourceVersion that is known', () => {
    const cache = new Cache<Resource>(RESOURCES);
    cache.apply({ kind: 'replaced', resource: 'services', objects: [service('s', {}, { resourceVersion: '5' })] });
    const same = service('s', { type: 'ClusterIP' }, { resourceVersion: '5' });
    expect(cache.apply({ kind: 'applied', resource: 'services', object: same })).toEqual([]);
  });

  it('an object that a new list no longer holds', () => {
    const cache = new Cache<Resource>(RESOURCES);
    cache.apply({ kind: 'replaced', resource: 'services', objects: [service('s'), service('t')] });
    expect(cache.apply({ kind: 'replaced', resource: 'services', objects: [service('t')] })).toContain('default/s');
    expect(cache.keys('services')).toEqual(['default/t']);
  });
});
