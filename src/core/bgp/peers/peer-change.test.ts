import { describe, expect, it } from 'vitest';
import { configured } from '../../../../test/builders.ts';
import type { Peer } from '../../config/config.ts';
import { resolveConfig } from '../../config/resolve.ts';
import { renewedBy } from './peer-change.ts';

const SPEC = { myASN: 64500, peerASN: 64501, peerAddress: '192.0.2.1' };
const peer = (spec: object, annotations: Readonly<Record<string, string>> = {}): Peer => {
  const bfdprofiles = [configured('quick')];
  const { config, problems } = resolveConfig({ bgppeers: [configured('r', spec, { annotations })], bfdprofiles });
  expect(problems).toEqual([]);
  return config.peers[0]!;
};

describe('a changed BGPPeer', () => {
  it.each<[string, object]>([
    ['connectTime', { connectTime: '5s' }],
    ['keepaliveTime', { holdTime: '90s', keepaliveTime: '1s' }],
    ['holdTime that is the default', { holdTime: '90s' }],
    ['localASN that is myASN', { localASN: 64500 }],
    ['nodeSelectors', { nodeSelectors: [{ matchLabels: { rack: 'a' } }] }],
    ['bfdProfile', { bfdProfile: 'quick' }],
    ['ebgpMultiHop', { ebgpMultiHop: true }],
    ['disableMP', { disableMP: true }],
    ['dynamicASN that takes the same router', { peerASN: undefined, dynamicASN: 'external' }],
  ])('leaves sessions alone: %s', (_, change) => {
    expect(renewedBy(peer(SPEC), peer({ ...SPEC, ...change }))).toEqual([]);
  });

  it.each<[string, object, string]>([
    ['myASN', { myASN: 64502 }, 'myASN,localASN'],
    ['localASN', { localASN: 64999 }, 'localASN'],
    ['peerASN', { peerASN: 64999 }, 'peerASN'],
    ['dynamicASN that does not take the router', { peerASN: undefined, dynamicASN: 'internal' }, 'dynamicASN'],
    ['peerAddress', { peerAddress: '192.0.2.2' }, 'peerAddress'],
    ['interface', { peerAddress: undefined, interface: 'eth0' }, 'interface'],
    ['peerPort', { peerPort: 1179 }, 'peerPort'],
    ['sourceAddress', { sourceAddress: '192.0.2.9' }, 'sourceAddress'],
    ['routerID', { routerID: '192.0.2.9' }, 'routerID'],
    ['password', { password: 'secret' }, 'the password'],
    ['holdTime', { holdTime: '30s' }, 'holdTime'],
    ['enableGracefulRestart', { enableGracefulRestart: true }, 'enableGracefulRestart'],
    ['vrf', { vrf: 'red' }, 'vrf'],
    ['dualStackAddressFamily', { dualStackAddressFamily: true }, 'dualStackAddressFamily'],
  ])('takes a new session: %s', (_, change, fields) => {
    expect(renewedBy(peer(SPEC), peer({ ...SPEC, ...change })).join()).toBe(fields);
  });

  it('is looked at with its annotations', () => {
    const hops = (text: string) => peer(SPEC, { 'metallb.io/ttl-security-hops': text });
    expect(renewedBy(hops('1'), hops('2'))).toEqual(['the annotation metallb.io/ttl-security-hops']);
    const delayed = peer(SPEC, { 'metallb.io/delay-open': '5s', 'metallb.io/passive': 'true' });
    expect(renewedBy(peer(SPEC), delayed)).toEqual([]);
  });

  it('may refuse whoever was taken as any AS but our own', () => {
    const external = { ...SPEC, peerASN: undefined, dynamicASN: 'external' };
    expect(renewedBy(peer(external), peer(SPEC))).toEqual(['peerASN']);
  });
});
