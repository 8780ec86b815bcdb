import { describe, expect, it } from 'vitest';
import { sha256 } from '../../adapters/sha256.ts';
import { BGP_STATUS, L2_STATUS, SESSION_STATUS, statusName, statusObject } from './status-objects.ts';

const NOW = '2026-11-25T12:00:00Z';

describe('what a speaker says of itself', () => {
  it('is, for layer 2, one object for each Service, which takes the place of other nodes’', () => {
    const told = { interfaces: ['eth0'], duplicates: [], disputes: [], isPartial: false };
    expect(statusObject(L2_STATUS, 'node-1', 'default/web', told, NOW, sha256)).toEqual({
      resource: 'servicel2statuses',
      object: {
        apiVersion: 'metallb.io/v1beta1',
        kind: 'ServiceL2Status',
        metadata: {
          // As sha256sum has it: another name would leave that one behind.
          name: 'l2-6759c3c799',
          labels: {
            'metallb.io/node': 'node-1',
            'metallb.io/service-name': 'web',
            'metallb.io/service-namespace': 'default',
          },
        },
        status: {
          node: 'node-1',
          serviceName: 'web',
          serviceNamespace: 'default',
          interfaces: [{ name: 'eth0' }],
          conditions: [],
        },
      },
      supersedes: { 'metallb.io/service-name': 'web', 'metallb.io/service-namespace': 'default' },
    });
  });

  it('leaves those of other nodes alone where they announce the other address of the Service', () => {
    const told = { interfaces: [], duplicates: [], disputes: [], isPartial: true };
    const { object, supersedes } = statusObject(L2_STATUS, 'node-1', 'default/web', told, NOW, sha256);
    expect([supersedes, Object.keys(object.status!)]).toEqual([
      undefined,
      ['node', 'serviceName', 'serviceNamespace', 'interfaces', 'conditions'],
    ]);
  });

  it('names who else claims an address', () => {
    const told = { interfaces: [], duplicates: ['a', 'b'], disputes: [], isPartial: false };
    const { status } = statusObject(L2_STATUS, 'node-1', 'default/web', told, NOW, sha256).object;
    expect(status).toMatchObject({
      conditions: [{ type: 'DuplicateAddress', status: 'True', message: 'a\nb', lastTransitionTime: NOW }],
    });
  });

  it('names the speakers that announce an address too', () => {
    const told = { interfaces: [], duplicates: [], disputes: ['a'], isPartial: false };
    const { status } = statusObject(L2_STATUS, 'node-1', 'default/web', told, NOW, sha256).object;
    expect(status).toMatchObject({ conditions: [{ type: 'AddressDisputed', status: 'True', message: 'a' }] });
  });

  it('is, for BGP, one object for each Service and node', () => {
    const { object, supersedes } = statusObject(BGP_STATUS, 'node-1', 'default/web', ['r1', 'r2'], NOW, sha256);
    expect(object.status).toEqual({
      node: 'node-1',
      serviceName: 'web',
      serviceNamespace: 'default',
      peers: ['r1', 'r2'],
    });
    expect(supersedes).toBeUndefined();
  });

  it('has a label for the BGPPeer that is no longer than a label may be', () => {
    const peer = `${'p'.repeat(62)}-${'q'.repeat(20)}`;
    const told = {
      address: '192.0.2.1',
      localASN: 64500,
      state: 'Active',
      since: NOW,
      prefixes: 0,
      wantedPrefixes: 0,
      bfd: 'None',
    } as const;
    const { metadata, status } = statusObject(SESSION_STATUS, 'node-1', peer, told, NOW, sha256).object;
    expect(metadata.labels!['metallb.io/bgp-peer']).toBe('p'.repeat(62));
    expect(status).toEqual({ node: 'node-1', peer, ...told });
  });

  it('has a name of its own for each node and key', () => {
    const names = ['node-1', 'node-2'].flatMap((node) =>
      ['default/a', 'default/b'].map((key) => statusName(BGP_STATUS, node, key, sha256)),
    );
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name).toMatch(/^bgp-[0-9a-f]{10}$/);
  });
});
