import { expect, it } from 'vitest';
import { describeAnnotationFault } from '../reasons/annotations.ts';
import { annotationFaults } from './annotation-faults.ts';
import { ANNOTATIONS, annotation } from './annotations.ts';

function said(kind: string, ...keys: readonly string[]): string[] {
  const annotations = Object.fromEntries(keys.map((key) => [key, 'x']));
  return annotationFaults(kind, { name: 'x', annotations }).map(describeAnnotationFault);
}

const meant = (key: string, near: string) => [
  `annotation ${key} is no annotation of ours; did you mean metallb.io/${near}?`,
];
const onServices = 'metallb.io/address-pool, metallb.io/loadBalancerIPs, metallb.io/allow-shared-ip';

it.each([
  ['metallb.io/loadbalancerIPs', 'loadBalancerIPs'],
  ['metallb.io/load-balancer-ip', 'loadBalancerIPs'],
  ['metallb.io/allow-share-ip', 'allow-shared-ip'],
  ['metallb.io/pool', 'address-pool'],
  ['metallb.io/adress-pool', 'address-pool'],
  ['metallb.universe.tf/allow-shared', 'allow-shared-ip'],
  ['metallb.universe.tf/AllowSharedIP', 'allow-shared-ip'],
  ['MetalLB.io/address-pool', 'address-pool'],
  ['metalb.io/address-pool', 'address-pool'],
  ['metallb.universe.io/loadBalancerIPs', 'loadBalancerIPs'],
])('%s on a Service is taken for %s', (key, near) => expect(said('Service', key)).toEqual(meant(key, near)));

it.each([
  ['BGPPeer', 'metallb.io/pasive', 'passive'],
  ['BGPPeer', 'metallb.universe.tf/passive', 'passive'],
  ['BGPAdvertisement', 'metallb.io/aspath-prepend', 'as-path-prepend'],
])('on a %s %s is taken for %s', (kind, key, near) => expect(said(kind, key)).toEqual(meant(key, near)));

it('names what there is when nothing is near', () => {
  expect(said('Service', 'metallb.io/constructor')).toEqual([
    `annotation metallb.io/constructor is no annotation of ours; there are ${onServices}`,
  ]);
  expect(said('IPAddressPool', 'metallb.io/mtu')).toEqual([
    'annotation metallb.io/mtu is no annotation of ours; there are none on this kind',
  ]);
});

it('says of an old annotation whether it is looked at', () => {
  expect(said('Service', 'metallb.universe.tf/address-pool')).toEqual([
    'annotation metallb.universe.tf/address-pool still works, but is deprecated; use metallb.io/address-pool',
  ]);
  expect(said('Service', 'metallb.universe.tf/address-pool', 'metallb.io/address-pool')).toEqual([
    'annotation metallb.universe.tf/address-pool is not looked at, because metallb.io/address-pool is there too; remove it',
  ]);
  expect(said('Service', 'metallb.universe.tf/ip-allocated-from-pool')).toEqual([
    'annotation metallb.universe.tf/ip-allocated-from-pool is not looked at: it was written by MetalLB before 0.13; remove it',
  ]);
});

it('sends an annotation of another kind there', () => {
  expect(said('Service', 'metallb.io/drain')).toEqual([
    'annotation metallb.io/drain is not looked at: it belongs on a Node; move it there',
  ]);
});

it('tells a label by the name of an annotation from the annotation', () => {
  const labels = { 'metallb.io/address-pool': 'x', 'metallb.io/team': 'y' };
  expect(annotationFaults('Service', { name: 'x', labels }).map(describeAnnotationFault)).toEqual([
    'label metallb.io/address-pool requests nothing: we read an annotation of that name; move it to metadata.annotations',
  ]);
  expect(annotationFaults('Service', { name: 'x', labels, annotations: labels }).map(({ key }) => key)).toEqual([
    'metallb.io/team',
  ]);
});

it('finds no fault in what we read, nor in what is for others', () => {
  for (const [name, { on }] of Object.entries(ANNOTATIONS))
    expect(said(on, annotation(name as keyof typeof ANNOTATIONS))).toEqual([]);
  expect(said('Service', 'kube-vip.io/loadbalancerIPs', 'example.com/address-pool', 'address-pool')).toEqual([]);
});
