import { describe, expect, it } from 'vitest';
import { parseAddress } from '../net/address.ts';
import { parsePrefix } from '../net/prefix.ts';
import { addressProblems, splitAddresses, subnetsOf, suggestion } from './addresses.ts';
import { type ClusterFacts, examineCluster } from './cluster-checks.ts';
import { installation } from './manifest.ts';

const node = (name: string, address: string) => ({ node: name, address: parseAddress(address)! });
const NODES = [node('a', '192.168.66.11'), node('b', '192.168.66.12')];

describe('the addresses of an installation', () => {
  it('may be given with commas or blanks between them', () => {
    expect(splitAddresses('10.64.140.43-10.64.140.49,192.168.0.105 - 192.168.0.111  10.0.0.0/28')).toEqual([
      '10.64.140.43-10.64.140.49',
      '192.168.0.105-192.168.0.111',
      '10.0.0.0/28',
    ]);
  });

  it.each<[string, string, RegExp | undefined]>([
    ['within', '192.168.66.200-192.168.66.210', undefined],
    [
      'in the next network',
      '192.168.67.200-192.168.67.210',
      /outside of the nodes' network 192\.168\.66\.0\/24 \(the usual length\)/,
    ],
    ['over the edge', '192.168.66.250-192.168.67.5', /outside/],
    ['over a node', '192.168.66.10-192.168.66.20', /192\.168\.66\.11 is the address of node a.*192\.168\.66\.12/s],
    ['no range', '192.168.66.200', /a bare address/],
    ['backwards', '192.168.66.20-192.168.66.18', /swap the two/],
    ['of a family that no node has', '2001:db8::1-2001:db8::5', /outside/],
  ])('%s', (_, entry, problem) => {
    const text = addressProblems([entry], subnetsOf(NODES, []), false).join('\n');
    if (problem === undefined) expect(text).toBe('');
    else expect(text).toMatch(problem);
  });

  it('are told all at once, and may be outside where somebody says so', () => {
    expect(addressProblems(['x', '10.0.0.0/24', '192.168.66.0/24'], subnetsOf(NODES, []), false)).toHaveLength(4);
    expect(addressProblems(['10.0.0.0/24'], subnetsOf(NODES, []), true)).toEqual([]);
    expect(addressProblems([], subnetsOf(NODES, []), true)).toHaveLength(1);
  });

  it('follow the length that a link of this machine has', () => {
    const wide = subnetsOf(NODES, [parsePrefix('192.168.64.0/20')!]);
    expect(wide).toHaveLength(1);
    expect(addressProblems(['192.168.67.200-192.168.67.210'], wide, false)).toEqual([]);
  });

  it('are suggested at the end of the network, unless a node is there', () => {
    expect(suggestion(subnetsOf(NODES, []))).toBe('192.168.66.240-192.168.66.250');
    expect(suggestion(subnetsOf([node('z', '10.0.0.245')], []))).toBeUndefined();
  });
});

describe('what is in the way', () => {
  const CLEAN: ClusterFacts = { serviceLb: [], kubeProxy: undefined, deployments: [], daemonSets: [] };
  const runs = (image: string, labels = {}, switches: string[] = []) => ({
    namespace: 'n',
    name: 'd',
    labels,
    images: [image],
    switches,
  });

  it.each<[string, Partial<ClusterFacts>, RegExp]>([
    ["k3s' ServiceLB", { serviceLb: ['svclb-x'] }, /--disable servicelb/],
    ['IPVS without strictARP', { kubeProxy: 'mode: "ipvs"\nipvs:\n  strictARP: false\n' }, /strictARP: true/],
    ['MetalLB', { deployments: [runs('quay.io/metallb/controller:v0.15.2')] }, /metallb migrate/],
    ['Bitnami’s MetalLB', { daemonSets: [runs('docker.io/bitnami/metallb-speaker:0.14')] }, /metallb migrate/],
    [
      'kube-vip',
      { daemonSets: [runs('ghcr.io/kube-vip/kube-vip:v1.0.0', {}, ['svc_enable'])] },
      /migrate --from kube-vip/,
    ],
    [
      'Helm',
      {
        deployments: [
          runs('quay.io/metallb-ts/metallb:1', {
            'app.kubernetes.io/managed-by': 'Helm',
            'app.kubernetes.io/name': 'metallb',
          }),
        ],
      },
      /helm upgrade/,
    ],
  ])('%s', (_, facts, cure) => {
    const findings = examineCluster({ ...CLEAN, ...facts });
    expect(findings.map(({ verdict }) => verdict)).toEqual(['problem']);
    expect(findings[0]!.cure).toMatch(cure);
  });

  it('is nothing on a clean cluster, nor with IPVS as it should be, nor with ourselves, nor kube-vip for the control plane alone', () => {
    const kubeProxy = 'mode: ipvs\nipvs:\n  strictARP: true\n';
    const deployments = [runs('quay.io/metallb-ts/metallb:0.1.0')];
    const daemonSets = [runs('ghcr.io/kube-vip/kube-vip:v1.0.0', {}, ['cp_enable'])];
    expect(examineCluster({ ...CLEAN, kubeProxy, deployments, daemonSets })).toEqual([]);
  });
});

describe('the manifest', () => {
  const SHIPPED = [
    { kind: 'Namespace', metadata: { name: 'metallb-system' } },
    { kind: 'ValidatingWebhookConfiguration', metadata: { name: 'w' }, webhooks: [{ namespace: 'metallb-system' }] },
    {
      kind: 'ClusterRoleBinding',
      metadata: { name: 'metallb-system:speaker' },
      subjects: [{ name: 'speaker', namespace: 'metallb-system' }],
    },
    { kind: 'DaemonSet', metadata: { name: 'speaker', namespace: 'metallb-system' }, containers: [{ image: 'i:1' }] },
  ];

  it('goes to the namespace and the image of the user, with the pool before the webhooks', () => {
    const objects = installation(SHIPPED, { namespace: 'lb', image: 'j:2', addresses: ['10.0.0.0/28'], pool: 'first' });
    expect(objects.map(({ kind }) => kind)).toEqual([
      'Namespace',
      'ClusterRoleBinding',
      'DaemonSet',
      'IPAddressPool',
      'L2Advertisement',
      'ValidatingWebhookConfiguration',
    ]);
    expect(JSON.stringify(objects)).not.toContain('metallb-system');
    expect(objects[1]).toMatchObject({ metadata: { name: 'lb:speaker' }, subjects: [{ namespace: 'lb' }] });
    expect(objects[2]).toMatchObject({ containers: [{ image: 'j:2' }] });
  });

  it('is left as it is when nothing is asked for', () => {
    const choices = { namespace: 'metallb-system', image: undefined, addresses: [], pool: 'first' };
    expect(installation(SHIPPED, choices)).toHaveLength(SHIPPED.length);
  });
});
