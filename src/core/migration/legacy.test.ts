import { describe, expect, it } from 'vitest';
import { formatProblem } from '../api/problem.ts';
import { convertLegacy } from './legacy.ts';

const convert = (document: unknown) => {
  const conversion = convertLegacy(document, 'config', 'metallb-system');
  if (!conversion.ok) throw new Error(conversion.problems.map(formatProblem).join('\n'));
  return conversion.resources.map(({ kind, metadata, spec }) => [kind, metadata.name, spec]);
};
const PEER = { 'my-asn': 64500, 'peer-asn': 64501, 'peer-address': '192.0.2.1' };
const POOL = { name: 'default', protocol: 'layer2', addresses: ['192.0.2.0/28'] };

describe('the configuration before 0.13', () => {
  it('becomes resources in upstream’s order, numbered as they come', () => {
    const document = {
      'bgp-communities': { b: '65535:65281', a: '64500:1' },
      'bfd-profiles': [{ name: 'fast', 'receive-interval': 50 }],
      'address-pools': [
        {
          name: 'one',
          protocol: 'bgp',
          addresses: ['192.0.2.0/28'],
          'avoid-buggy-ips': true,
          'bgp-advertisements': [{ 'aggregation-length': 28, localpref: 100, communities: ['a'] }, {}],
        },
        { ...POOL, name: 'two', addresses: ['198.51.100.0/28'], 'auto-assign': false },
        { name: 'three', protocol: 'bgp', addresses: ['203.0.113.0/28'] },
      ],
      peers: [
        {
          ...PEER,
          'hold-time': '1m30.5s',
          'bfd-profile': 'fast',
          'node-selectors': [{ 'match-labels': { rack: 'a' } }],
        },
      ],
    };
    expect(convert(document)).toEqual([
      [
        'BGPPeer',
        'peer1',
        {
          myASN: 64500,
          peerASN: 64501,
          peerAddress: '192.0.2.1',
          holdTime: '90s',
          nodeSelectors: [{ matchLabels: { rack: 'a' } }],
          bfdProfile: 'fast',
        },
      ],
      ['IPAddressPool', 'one', { addresses: ['192.0.2.0/28'], avoidBuggyIPs: true }],
      ['IPAddressPool', 'two', { addresses: ['198.51.100.0/28'], autoAssign: false }],
      ['IPAddressPool', 'three', { addresses: ['203.0.113.0/28'] }],
      [
        'BGPAdvertisement',
        'bgpadvertisement1',
        { ipAddressPools: ['one'], aggregationLength: 28, localPref: 100, communities: ['a'] },
      ],
      ['BGPAdvertisement', 'bgpadvertisement2', { ipAddressPools: ['one'] }],
      ['BGPAdvertisement', 'bgpadvertisement3', { ipAddressPools: ['three'] }],
      ['L2Advertisement', 'l2advertisement1', { ipAddressPools: ['two'] }],
      ['BFDProfile', 'fast', { receiveInterval: 50, echoMode: false, passiveMode: false }],
      [
        'Community',
        'communities',
        {
          communities: [
            { name: 'a', value: '64500:1' },
            { name: 'b', value: '65535:65281' },
          ],
        },
      ],
    ]);
  });

  it.each([
    ['My_Pool', 'my-pool'],
    ['1st', 'st'],
    ['fine', 'fine'],
  ])('makes the name %s a legal one: %s', (name, legal) => {
    expect(convert({ 'address-pools': [{ ...POOL, name }] })[0]![1]).toBe(legal);
  });

  it.each<[string, object, string]>([
    [
      'a hold time that is too short',
      { peers: [{ ...PEER, 'hold-time': '2s' }] },
      'data.config.peers[0].hold-time: "2s": a hold time is 0 or at least 3 seconds',
    ],
    ['a hold time that is none', { peers: [{ ...PEER, 'hold-time': 'long' }] }, 'this is not a duration'],
    ['a missing field', { peers: [{}] }, 'data.config.peers[0].my-asn'],
    ['a name without letters', { 'address-pools': [{ ...POOL, name: '123' }] }, 'the name has no letter'],
  ])('is refused with %s', (_, document, text) => {
    const conversion = convertLegacy(document, 'config', 'ns');
    expect(conversion.ok ? '' : conversion.problems.map(formatProblem).join('\n')).toContain(text);
  });
});

it('never shows a password, not even one that YAML takes for a number', () => {
  const conversion = convertLegacy({ peers: [{ ...PEER, password: 12345678 }] }, 'config', 'metallb-system');
  const text = conversion.ok ? '' : conversion.problems.map(formatProblem).join();
  expect(text).toContain('peers[0].password: "(not shown)"');
  expect(text).not.toContain('12345678');
});
