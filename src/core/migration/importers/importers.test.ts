import { describe, expect, it } from 'vitest';
import { byResource, resolveConfig } from '../../config/resolve.ts';
import { importCilium } from './cilium.ts';
import type { Imported } from './imported.ts';
import { importKubeVip } from './kube-vip.ts';
import { importPureLb } from './purelb.ts';

/** What comes out has to be what we ourselves take. */
function problemsOf({ objects }: Imported) {
  return resolveConfig(byResource(objects)).problems;
}

const specs = ({ objects }: Imported) =>
  objects.map(({ kind, metadata, spec }) => [kind, metadata.name, spec] as const);

describe('importers', () => {
  it('kube-vip: a pool for each namespace and one for all', () => {
    const data = {
      'cidr-global': '192.168.0.200/29',
      'range-plunder': '192.168.0.210-192.168.0.219,192.168.0.230-192.168.0.239',
      'cidr-testing': '0.0.0.0/32',
      'range-six': '2001:db8::10-2001:db8::1f',
      'interface-plunder': 'eth3',
      'search-order': 'desc',
    };
    const result = importKubeVip(
      [
        { kind: 'ConfigMap', metadata: { name: 'kubevip', namespace: 'kube-system' }, data } as never,
        { kind: 'ConfigMap', metadata: { name: 'other' } },
      ],
      'lb',
    );
    expect(problemsOf(result)).toEqual([]);
    expect(specs(result)).toEqual([
      ['IPAddressPool', 'kube-vip-global', { addresses: ['192.168.0.200/29'] }],
      [
        'IPAddressPool',
        'kube-vip-plunder',
        {
          addresses: ['192.168.0.210-192.168.0.219', '192.168.0.230-192.168.0.239'],
          serviceAllocation: { priority: 1, namespaces: ['plunder'] },
        },
      ],
      [
        'IPAddressPool',
        'kube-vip-six',
        { addresses: ['2001:db8::10-2001:db8::1f'], serviceAllocation: { priority: 1, namespaces: ['six'] } },
      ],
      ['L2Advertisement', 'kube-vip', { ipAddressPools: ['kube-vip-global', 'kube-vip-plunder', 'kube-vip-six'] }],
    ]);
    const notes = result.notes.join('\n');
    for (const told of ['cidr-testing: addresses from DHCP', 'spec.interfaces: [eth3]', 'search-order'])
      expect(notes).toContain(told);
  });

  it('PureLB: a pool for each ServiceGroup; others than default only where they are asked for', () => {
    const group = (name: string, spec: object) => ({
      kind: 'ServiceGroup',
      metadata: { name, namespace: 'purelb' },
      spec,
    });
    const result = importPureLb(
      [
        group('default', {
          local: {
            v4pools: [{ subnet: '192.168.254.0/24', pool: '192.168.254.230/32', aggregation: 'default' }],
            v6pool: { subnet: 'fd53::/64', pool: 'fd53::230-fd53::240', aggregation: '/64' },
          },
        }),
        group('old', { local: { subnet: '10.0.0.0/24', pool: '10.0.0.10-10.0.0.20', aggregation: '/32' } }),
        group('box', { netbox: { url: 'x' } }),
        { kind: 'LBNodeAgent', metadata: { name: 'default' } },
      ],
      'lb',
    );
    expect(problemsOf(result)).toEqual([]);
    expect(specs(result)).toEqual([
      ['IPAddressPool', 'default', { addresses: ['192.168.254.230/32', 'fd53::230-fd53::240'] }],
      ['IPAddressPool', 'old', { addresses: ['10.0.0.10-10.0.0.20'], autoAssign: false }],
      ['L2Advertisement', 'purelb', { ipAddressPools: ['default', 'old'] }],
    ]);
    const notes = result.notes.join('\n');
    for (const told of ['aggregation /64', 'metallb.io/address-pool=old', 'ServiceGroup box', 'LBNodeAgent default'])
      expect(notes).toContain(told);
  });

  it('Cilium: pools with their selectors, and policies of layer 2', () => {
    const result = importCilium(
      [
        {
          kind: 'CiliumLoadBalancerIPPool',
          metadata: { name: 'blue' },
          spec: {
            blocks: [{ cidr: '10.0.10.0/24' }, { start: '20.0.20.100', stop: '20.0.20.200' }, { start: '1.2.3.4' }],
            serviceSelector: { matchLabels: { 'io.kubernetes.service.namespace': 'shop', color: 'blue' } },
            allowFirstLastIPs: 'No',
          },
        } as never,
        {
          kind: 'CiliumLoadBalancerIPPool',
          metadata: { name: 'off' },
          spec: { blocks: [{ cidr: '10.9.0.0/24' }], disabled: true },
        } as never,
        {
          kind: 'CiliumL2AnnouncementPolicy',
          metadata: { name: 'policy1' },
          spec: {
            loadBalancerIPs: true,
            externalIPs: true,
            interfaces: ['^eth0$', '^ens[0-9]+'],
            nodeSelector: { matchLabels: { role: 'edge' } },
            serviceSelector: { matchLabels: { color: 'blue' } },
          },
        } as never,
        { kind: 'CiliumBGPPeeringPolicy', metadata: { name: 'bgp' } },
      ],
      'lb',
    );
    expect(problemsOf(result)).toEqual([]);
    expect(specs(result)).toEqual([
      [
        'IPAddressPool',
        'blue',
        {
          addresses: ['10.0.10.0/24', '20.0.20.100-20.0.20.200', '1.2.3.4-1.2.3.4'],
          serviceAllocation: {
            priority: 1,
            namespaces: ['shop'],
            serviceSelectors: [{ matchLabels: { color: 'blue' } }],
          },
        },
      ],
      ['IPAddressPool', 'off', { addresses: ['10.9.0.0/24'], autoAssign: false }],
      [
        'L2Advertisement',
        'policy1',
        {
          interfaces: ['eth0', 'ens[0-9]+'],
          nodeSelectors: [{ matchLabels: { role: 'edge' } }],
          serviceSelectors: [{ matchLabels: { color: 'blue' } }],
        },
      ],
    ]);
    const notes = result.notes.join('\n');
    for (const told of ['avoidBuggyIPs', 'ens[0-9]+', 'externalIPs', 'CiliumBGPPeeringPolicy bgp', 'disabled'])
      expect(notes).toContain(told);
  });

  it('make nothing of nothing', () => {
    for (const read of [importKubeVip, importPureLb, importCilium])
      expect(read([{ kind: 'Service', metadata: { name: 's' } }], 'lb')).toEqual({ objects: [], notes: [] });
  });
});
