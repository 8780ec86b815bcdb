import { describe, expect, it } from 'vitest';
import { pool } from '../../../test/builders.ts';
import { resolveConfig } from '../config/resolve.ts';
import { type AddressFacts, examinePools } from './pools.ts';

const { pools } = resolveConfig({
  ipaddresspools: [pool('home', ['192.168.1.240-192.168.1.250']), pool('lab', ['203.0.113.0/24', 'fd00::/64'])],
}).config;
const address = (text: string, dynamic = false, link = 'eth0'): AddressFacts => {
  const [bare, length] = text.split('/');
  return { address: bare!, length: Number(length), link, dynamic };
};
const details = (addresses: readonly AddressFacts[], gateways: readonly string[] = []) =>
  examinePools(pools, { addresses, gateways: gateways.map((text) => ({ address: text, interface: 'eth0' })) }).map(
    ({ detail }) => detail,
  );

describe('pools on a node', () => {
  it('are good beside what is the node’s own', () => {
    expect(
      details([address('192.168.1.7/24'), address('fe80::1/64'), address('127.0.0.1/8')], ['192.168.1.1']),
    ).toEqual([]);
  });

  it('must not contain an address of the node, nor its gateway', () => {
    expect(details([address('203.0.113.7/24'), address('fd00::7/64')], ['192.168.1.250', 'fe80::1'])).toEqual([
      'IPAddressPool lab contains 203.0.113.7, which this node has on eth0: a Service that gets it would not be reached',
      'IPAddressPool lab contains fd00::7, which this node has on eth0: a Service that gets it would not be reached',
      'IPAddressPool home contains 192.168.1.250, the default gateway on eth0: a Service that gets it would not be reached',
    ]);
  });

  it('may share addresses with a DHCP server where the node has one by DHCP', () => {
    expect(details([address('192.168.1.57/24', true)])).toEqual([
      'IPAddressPool home has addresses of 192.168.1.0/24, where this node itself has 192.168.1.57 on eth0 by DHCP: the DHCP server may give them to other machines',
    ]);
    expect(details([address('192.168.1.57/29', true)])).toEqual([]);
    // SLAAC: no server that gives addresses.
    expect(details([address('fd00:1::7/64', true), address('fd00::0:1:0:0/65', true)])).toHaveLength(1);
  });
});
