import { describe, expect, it } from 'vitest';
import { bgpRoute, configured } from '../../../test/builders.ts';
import { goingAway, type Route } from '../bgp/rib/route.ts';
import { resolveConfig } from '../config/resolve.ts';
import { frrConfiguration, lostWithFrr } from './frr-configuration.ts';

const route = bgpRoute;
const PEER = { myASN: 64512, peerASN: 64513, peerAddress: '192.0.2.254' };
const secrets = [
  {
    metadata: { name: 's', namespace: 'metallb-system' },
    type: 'kubernetes.io/basic-auth',
    data: { password: Buffer.from('secret').toString('base64') },
  },
];
const plan = (spec: object, routes: readonly Route[], name = 'r') => {
  const { config } = resolveConfig({ bgppeers: [configured(name, { ...PEER, ...spec })], secrets });
  return { peer: config.peers[0]!, routes };
};
const decode = (text: string) => Buffer.from(text, 'base64').toString();
const byReference = { byReference: true, decode };

describe('an FRRConfiguration', () => {
  it('says for this node whom FRR talks to, and which routes go there with what', () => {
    const routes = [
      route('198.51.100.7/32', { localPref: 200, communities: [[64512, 7]], largeCommunities: [[1, 2, 3]] }),
      route('198.51.100.0/24', { communities: [[64512, 7]] }),
      route('2001:db8::7/128'),
    ];
    const spec = { holdTime: '90s', keepaliveTime: '30s', bfdProfile: '', passwordSecret: { name: 's' } };
    const profiles = [{ name: 'b', echoMode: false, passiveMode: true, receiveInterval: 50 }];
    expect(frrConfiguration('kube-01', [plan(spec, routes)], profiles, byReference)).toEqual({
      nodeSelector: { matchLabels: { 'kubernetes.io/hostname': 'kube-01' } },
      bgp: {
        routers: [
          {
            asn: 64512,
            prefixes: ['198.51.100.0/24', '198.51.100.7/32'],
            neighbors: [
              {
                address: '192.0.2.254',
                asn: 64513,
                port: 179,
                holdTime: '90s',
                keepaliveTime: '30s',
                passwordSecret: { name: 's' },
                toAdvertise: {
                  allowed: { prefixes: ['198.51.100.0/24', '198.51.100.7/32'] },
                  withCommunity: [
                    { community: '64512:7', prefixes: ['198.51.100.0/24', '198.51.100.7/32'] },
                    { community: 'large:1:2:3', prefixes: ['198.51.100.7/32'] },
                  ],
                  withLocalPref: [{ localPref: 200, prefixes: ['198.51.100.7/32'] }],
                },
              },
            ],
          },
        ],
        bfdProfiles: profiles,
      },
    });
  });

  it('passes the reference to a Secret on as it is written', () => {
    const passwordSecret = { name: 's', namespace: 'elsewhere' };
    const { bgp } = frrConfiguration('n', [plan({ passwordSecret }, [])], [], byReference);
    expect(bgp.routers).toMatchObject([{ neighbors: [{ passwordSecret }] }]);
  });

  it('has a router for each AS, identifier and VRF, and unnumbered neighbors with both families', () => {
    const six = [route('2001:db8::7/128')];
    const plans = [
      plan({}, six, 'a'),
      plan({ peerAddress: undefined, interface: 'eth1', peerASN: 0, dynamicASN: 'external', vrf: 'red' }, six, 'b'),
      plan({ routerID: '10.0.0.1', dualStackAddressFamily: true }, six, 'c'),
    ];
    const { bgp } = frrConfiguration('n', plans, [], byReference);
    expect(bgp.routers).toMatchObject([
      { asn: 64512, prefixes: [], neighbors: [{ address: '192.0.2.254' }] },
      { id: '10.0.0.1', prefixes: ['2001:db8::7/128'] },
      { vrf: 'red', neighbors: [{ interface: 'eth1', dynamicASN: 'external' }], prefixes: ['2001:db8::7/128'] },
    ]);
  });

  it('copies a password where FRR cannot read our Secrets, asks for other ways while the node is drained, and says what is lost', () => {
    const drained = plan({ passwordSecret: { name: 's' }, localASN: 65000 }, [goingAway(route('198.51.100.7/32'))]);
    const { bgp } = frrConfiguration('n', [drained], [], { byReference: false, decode });
    expect(bgp.routers).toMatchObject([
      {
        neighbors: [
          {
            password: 'secret',
            toAdvertise: { withCommunity: [{ community: '65535:0', prefixes: ['198.51.100.7/32'] }] },
          },
        ],
      },
    ]);
    expect(lostWithFrr(drained)).toEqual(['spec.localASN']);
  });
});
