import { describe, expect, it } from 'vitest';
import { BGP_PEER_VERSIONS, convertBgpPeer } from './bgp-peer-conversion.ts';
import type { KubernetesObject } from './kubernetes.ts';

const peer = (apiVersion: string, spec: object): KubernetesObject => {
  const object = { apiVersion, kind: 'BGPPeer', metadata: { name: 'r' }, spec };
  return object;
};
const { old, current } = BGP_PEER_VERSIONS;
const BASE = { myASN: 64512, peerASN: 64513, peerAddress: '192.0.2.1' };

describe('a BGPPeer of v1beta1 in v1beta2', () => {
  it('has the same fields, and timers that are not set as zero', () => {
    expect(convertBgpPeer(peer(old, { ...BASE, password: 'x', ebgpMultiHop: true }), current)).toEqual(
      peer(current, { ...BASE, password: 'x', ebgpMultiHop: true, holdTime: '0s', keepaliveTime: '0s' }),
    );
  });

  it('leaves a zero port to the default', () => {
    expect(convertBgpPeer(peer(old, { ...BASE, peerPort: 0 }), current)).not.toHaveProperty('spec.peerPort');
  });

  it('has selectors without empty parts', () => {
    const expression = { key: 'a', operator: 'In', values: ['b'] };
    const nodeSelectors = [{ matchLabels: {}, matchExpressions: [] }, { matchExpressions: [expression] }];
    expect(convertBgpPeer(peer(old, { ...BASE, nodeSelectors }), current)).toMatchObject({
      spec: { nodeSelectors: [{}, { matchExpressions: [expression] }] },
    });
  });
});

describe('a BGPPeer of v1beta2 in v1beta1', () => {
  it('loses what v1beta1 does not have', () => {
    const spec = { ...BASE, holdTime: '90s', vrf: 'red', dynamicASN: 'internal', passwordSecret: { name: 's' } };
    expect(convertBgpPeer(peer(current, spec), old)).toEqual(
      peer(old, { ...BASE, holdTime: '90s', keepaliveTime: '0s' }),
    );
  });

  it('has selectors with empty parts', () => {
    expect(convertBgpPeer(peer(current, { ...BASE, nodeSelectors: [{}] }), old)).toMatchObject({
      spec: { nodeSelectors: [{ matchLabels: {}, matchExpressions: [] }] },
    });
  });
});

it('leaves a version that it does not know alone', () => {
  expect(convertBgpPeer(peer(old, BASE), 'metallb.io/v2')).toBeUndefined();
});
