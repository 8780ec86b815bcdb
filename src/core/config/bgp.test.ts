import { describe, expect, it } from 'vitest';
import { configured, node, pool } from '../../../test/builders.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import { formatProblem } from '../api/problem.ts';
import { parseCommunity } from './communities.ts';
import { type ConfigObjects, resolveConfig } from './resolve.ts';

const POOLS = [pool('v4', ['192.0.2.0/28', '198.51.100.5-198.51.100.18']), pool('v6', ['2001:db8::/120'])];
const problems = (objects: ConfigObjects) =>
  resolveConfig({ ipaddresspools: POOLS, ...objects }).problems.map(formatProblem);
const PEER = { myASN: 64512, peerASN: 64513, peerAddress: '192.0.2.254' };
const peer = (spec: object = {}, name = 'router') => configured(name, { ...PEER, ...spec });
const advertisement = (spec: object = {}, name = 'ad') => configured(name, spec);
const alias = (name: string, ...pairs: [string, string][]) =>
  configured(name, { communities: pairs.map(([key, value]) => ({ name: key, value })) });
/** Different communities. */
const many = (count: number, before = '') => Array.from({ length: count }, (_, i) => `${before}${i}:1`);
const on = (zone: string) => [{ matchLabels: { zone } }];

describe('a community literal', () => {
  it.each([
    ['64512:100', { kind: 'value', value: { kind: 'standard', parts: [64512, 100] } }],
    ['large:4200000000:1:2', { kind: 'value', value: { kind: 'large', parts: [4200000000, 1, 2] } }],
    ['65536:1', { kind: 'bad-literal' }],
    ['64512:-1', { kind: 'bad-literal' }],
    ['wide:1:2:3', { kind: 'bad-literal' }],
    ['no-export', { kind: 'not-a-literal' }],
    ['1:2:3', { kind: 'not-a-literal' }],
  ])('%s', (text, expected) => expect(parseCommunity(text)).toMatchObject(expected));
});

describe('a BGPPeer', () => {
  it.each<[string, object, string]>([
    ['R1: own AS number 0', { myASN: 0 }, 'spec.myASN: "0": AS number 0 is reserved'],
    ['R1: no AS number of the peer', { peerASN: undefined }, 'spec.peerASN: "0": the AS number of the peer is missing'],
    ['R1: two AS numbers', { dynamicASN: 'external' }, 'peerASN and dynamicASN are both set'],
    ['R1: neither address nor interface', { peerAddress: undefined }, 'nothing says where the peer is'],
    ['R1: address and interface', { interface: 'eth0' }, 'peerAddress and interface are both set'],
    ['R2: multihop inside the AS', { peerASN: 64512, ebgpMultiHop: true }, 'where there is no eBGP'],
    ['R2: the same by dynamicASN', { peerASN: 0, dynamicASN: 'internal', ebgpMultiHop: true }, 'there is no eBGP'],
    ['R3: a hold time of two seconds', { holdTime: '2s' }, 'the hold time is 2 s, which RFC 4271 §4.2 forbids'],
    ['R3: a hold time that is none', { holdTime: 'soon' }, 'spec.holdTime: "soon": this is not a duration'],
    ['R3: keepalive beyond hold', { holdTime: '9s', keepaliveTime: '10s' }, 'longer than the hold time of 9s'],
    ['R3: three keepalives too short', { keepaliveTime: '500ms' }, 'spec.keepaliveTime: "500ms": the hold time is 1 s'],
    ['R4: a host name', { peerAddress: 'router.example' }, 'this is not an IP address'],
    ['R4: an identifier that is none', { routerID: '2001:db8::1' }, 'a BGP identifier has four octets'],
    ['R4: a source that is none', { sourceAddress: 'eth0' }, 'spec.sourceAddress: "eth0": this is not an IP address'],
    ['R4: families that differ', { sourceAddress: '2001:db8::1' }, 'it is an ipv6 address, peerAddress is ipv4'],
    ['R4: a selector twice', { nodeSelectors: [...on('a'), ...on('a')] }, 'this selector is listed twice'],
    ['R6: no such BFDProfile', { bfdProfile: 'fast' }, 'there is no valid BFDProfile of this name'],
    ['R5: two passwords', { password: 'x', passwordSecret: { name: 's' } }, 'password and passwordSecret are both set'],
    ['the schema: a port out of range', { peerPort: 20000 }, 'spec.peerPort: "20000"'],
    ['the schema: a broken connect time', { connectTime: '1500ms' }, 'a whole number of seconds'],
  ])('is set aside: %s', (_, spec, expected) => {
    const found = problems({ bgppeers: [peer(spec)], secrets: [] });
    expect(found.join('\n')).toContain(expected);
    expect(found[0]).toMatch(/^BGPPeer metallb-system\/router: .*; .+ \(until then the object is set aside\)$/);
  });

  it('fills in what follows from what is given', () => {
    const of = (spec: object) => resolveConfig({ bgppeers: [peer(spec)] }).config.peers[0];
    expect(of({})).toMatchObject({ port: 179, holdTime: undefined, keepaliveTime: undefined, peerASN: 64513 });
    expect(of({ holdTime: '90s' })).toMatchObject({ holdTime: 90_000, keepaliveTime: 30_000 });
    expect(of({ keepaliveTime: '5s' })).toMatchObject({ holdTime: 15_000, keepaliveTime: 5000 });
    expect(of({ holdTime: '0s' })).toMatchObject({ holdTime: 0, keepaliveTime: 0 });
    expect(of({ peerAddress: undefined, interface: 'eth0' })).toMatchObject({
      target: { kind: 'interface', name: 'eth0' },
    });
    expect(of({ password: 'pw' })).toMatchObject({ password: { encoding: 'utf8', text: 'pw' } });
  });

  it('R5: takes its password from a Secret, and says what is wrong with it without showing it', () => {
    const withSecret = (...secrets: NonNullable<ConfigObjects['secrets']>) =>
      resolveConfig({ bgppeers: [peer({ passwordSecret: { name: 's' } })], secrets });
    const secret = (type: string, data: Record<string, string>) => ({ ...configured('s'), type, data });
    const good = withSecret(secret('kubernetes.io/basic-auth', { password: 'aHVudGVyMg==' }));
    expect(good.problems).toEqual([]);
    expect(good.config.peers[0]!.password).toEqual({ encoding: 'base64', text: 'aHVudGVyMg==' });
    const texts = (...secrets: NonNullable<ConfigObjects['secrets']>) =>
      withSecret(...secrets)
        .problems.map(formatProblem)
        .join();
    expect(texts()).toContain('there is no Secret metallb-system/s of type kubernetes.io/basic-auth; kubectl -n');
    expect(texts(secret('Opaque', { password: 'aHVudGVyMg==' }))).toMatch(/is of type Opaque; recreate it/);
    expect(texts(secret('kubernetes.io/basic-auth', { pass: 'aHVudGVyMg==' }))).toContain('has no key password');
    expect(texts(secret('Opaque', { password: 'aHVudGVyMg==' }))).not.toContain('aHVudGVyMg');
    expect(resolveConfig({ bgppeers: [peer({ passwordSecret: { name: 's' } })] }).problems).toEqual([]);
  });

  it('never shows a password, not even one that is no text', () => {
    const found = problems({ bgppeers: [peer({ password: 12345678 })] }).join();
    expect(found).toContain('spec.password: "(not shown)"');
    expect(found).not.toContain('12345678');
  });

  it('excludes a second one for the same router on the same node, and only there', () => {
    const second = (spec: object) =>
      problems({ bgppeers: [peer({ nodeSelectors: on('a') }), peer(spec, 'twin')], nodes });
    const nodes = [node('n1', { zone: 'a' }), node('n2', { zone: 'b' })];
    expect(second({}).join()).toContain(
      'BGPPeer metallb-system/twin: spec.peerAddress: "192.0.2.254": BGPPeer router is',
    );
    expect(second({ nodeSelectors: on('b') })).toEqual([]);
    expect(second({ vrf: 'red' })).toEqual([]);
    expect(second({ peerPort: 1179 })).toEqual([]);
  });

  it('keeps its last good version when it becomes bad', () => {
    const before = resolveConfig({ bgppeers: [peer({ holdTime: '30s' })] });
    const after = resolveConfig({ bgppeers: [peer({ holdTime: '1s' })] }, before.config);
    expect(after.config.peers).toEqual(before.config.peers);
    expect(after.problems[0]!.consequence).toBe('until then the last good version stays in force');
  });
});

describe('a BFDProfile', () => {
  it.each<[object, string]>([
    [{ receiveInterval: 9 }, 'spec.receiveInterval: "9"'],
    [{ transmitInterval: 60001 }, 'spec.transmitInterval: "60001"'],
    [{ detectMultiplier: 1 }, 'spec.detectMultiplier: "1"'],
    [{ echoInterval: 5 }, 'spec.echoInterval: "5"'],
    [{ minimumTtl: 255 }, 'spec.minimumTtl: "255"'],
  ])('F1: %j is out of range', (spec, expected) => {
    expect(problems({ bfdprofiles: [configured('b', spec)] }).join()).toContain(expected);
  });

  it('F1: a name can be used once', () => {
    const twins = [configured('b'), configured('b', {}, { namespace: 'elsewhere' })];
    expect(problems({ bfdprofiles: twins }).join()).toContain('there is an older BFDProfile of this name');
  });
});

describe('a Community', () => {
  it.each<[string, KubernetesObject[], string]>([
    ['a value that is none', [alias('c', ['a', 'no-export'])], 'spec.communities[0].value: "no-export": this is no'],
    ['numbers too large', [alias('c', ['a', '70000:1'])], 'both halves of a community are numbers from 0 to 65535'],
    ['an alias twice', [alias('c', ['a', '1:1'], ['a', '1:2'])], 'this alias is listed twice'],
    ['no name', [alias('c', ['', '1:1'])], 'the alias has no name'],
    ['an alias of another object', [alias('c', ['a', '1:1']), alias('d', ['a', '1:2'])], 'Community c has an alias of'],
  ])('C1: %s', (_, communities, expected) => expect(problems({ communities }).join()).toContain(expected));
});

describe('a BGPAdvertisement', () => {
  const bad = (spec: object, more: ConfigObjects = {}) =>
    problems({ bgpadvertisements: [advertisement(spec)], ...more }).join('\n');

  it.each<[string, object, string]>([
    ['B1: a pool twice', { ipAddressPools: ['v4', 'v4'] }, 'spec.ipAddressPools[1]: "v4": this is listed twice'],
    ['B1: a community twice', { communities: ['1:1', '1:1'] }, 'spec.communities[1]: "1:1": this is listed twice'],
    ['B1: a peer twice', { peers: ['a', 'a'] }, 'spec.peers[1]: "a": this is listed twice'],
    ['B1: a selector twice', { nodeSelectors: [...on('a'), ...on('a')] }, 'this selector is listed twice'],
    [
      'B1: aggregation with Service selectors',
      { serviceSelectors: [{}], aggregationLength: 24 },
      'must be 32 and 128 (or absent) when serviceSelectors is used',
    ],
    ['B2: longer than an address', { aggregationLength: 33 }, 'a prefix length is at most 32'],
    ['B2: longer than an IPv6 address', { aggregationLengthV6: 129 }, 'a prefix length is at most 128'],
    [
      'B3: wider than an entry',
      { ipAddressPools: ['v4'], aggregationLength: 24 },
      'routes of this length would reach beyond 198.51.100.5/32, 198.51.100.6/31, … (5 CIDRs) of IPAddressPool v4; give 29 or more',
    ],
    ['B3: the same for IPv6', { aggregationLengthV6: 64 }, 'beyond 2001:db8::/120 of IPAddressPool v6'],
    ['B6: a broken literal', { communities: ['70000:1'] }, 'both halves of a community are numbers'],
    ['B6: an unknown alias', { communities: ['gold'] }, 'no valid Community object has an alias of this name'],
    [
      'B7: too many communities',
      { communities: many(901) },
      '"901 communities": a route with all of them does not fit',
    ],
    ['B7: too many large ones', { communities: many(301, 'large:1:') }, '"301 communities": a route with all'],
    ['B7: too many of both', { communities: [...many(898), ...many(1, 'large:1:')] }, '3600 bytes at most'],
  ])('is set aside: %s', (_, spec, expected) => expect(bad(spec)).toContain(expected));

  it('B7: as many communities as fit are taken', () => {
    for (const communities of [many(900), many(300, 'large:1:'), [...many(897), ...many(1, 'large:1:')]])
      expect(bad({ communities })).toBe('');
  });

  it('B3: of a range only its widest CIDR counts', () => {
    expect(bad({ ipAddressPools: ['v4'], aggregationLength: 29 })).toBe('');
    expect(bad({ ipAddressPools: ['v4'], aggregationLength: 28 })).toContain('198.51.100.5/32, 198.51.100.6/31, …');
  });

  it('B6: an alias stands for its value', () => {
    const { config } = resolveConfig({
      bgpadvertisements: [advertisement({ communities: ['gold', 'large:1:2:3'] })],
      communities: [alias('c', ['gold', '64512:7'])],
    });
    expect(config.bgpAdvertisements[0]!.communities).toEqual([
      { kind: 'standard', parts: [64512, 7] },
      { kind: 'large', parts: [1, 2, 3] },
    ]);
  });

  it.each<[string, object, object, boolean]>([
    ['two preferences for one route', {}, {}, true],
    ['other lengths', {}, { aggregationLength: 30, aggregationLengthV6: 127 }, false],
    ['other lengths in one of two families', {}, { aggregationLength: 30 }, true],
    [
      'other lengths in the only family',
      { ipAddressPools: ['v4'] },
      { ipAddressPools: ['v4'], aggregationLength: 30 },
      false,
    ],
    ['other pools', { ipAddressPools: ['v4'] }, { ipAddressPools: ['v6'] }, false],
    ['other peers', { peers: ['a'] }, { peers: ['b'] }, false],
    ['a peer in common', { peers: ['a'] }, { peers: ['a', 'b'] }, true],
    ['other nodes', { nodeSelectors: on('a') }, { nodeSelectors: on('b') }, false],
    ['a node in common', { nodeSelectors: on('a') }, {}, true],
    ['Service selectors', { serviceSelectors: [{}] }, {}, false],
  ])('B4: %s', (_, first, second, clashes) => {
    const nodes = [node('n1', { zone: 'a' }), node('n2', { zone: 'b' })];
    const ads = [advertisement({ ...first, localPref: 100 }), advertisement({ ...second, localPref: 200 }, 'second')];
    const found = problems({ bgpadvertisements: ads, nodes }).join();
    if (clashes)
      expect(found).toContain('BGPAdvertisement metallb-system/second: spec.localPref: "200": BGPAdvertisement ad');
    else expect(found).toBe('');
  });

  it('X1: echo mode and IPv6 do not go together', () => {
    const more = {
      bfdprofiles: [configured('echo', { echoMode: true })],
      bgppeers: [peer({ bfdProfile: 'echo' }), peer({ peerAddress: '192.0.2.253' }, 'plain')],
    };
    expect(bad({}, more)).toContain(
      'BFDProfile echo of this peer has echoMode, which does not work with the IPv6 addresses',
    );
    expect(bad({ ipAddressPools: ['v4'] }, more)).toBe('');
    expect(bad({ peers: ['plain'] }, more)).toBe('');
  });
});

describe('what goes beyond upstream, in annotations', () => {
  const annotated = (object: KubernetesObject, annotations: Record<string, string>): KubernetesObject => ({
    ...object,
    metadata: { ...object.metadata, annotations },
  });

  it('finds the router by the default gateway or by an annotation of the Node (peer template)', () => {
    const of = (value: string) =>
      resolveConfig({
        bgppeers: [annotated(peer({ peerAddress: undefined }), { 'metallb.io/peer-address-from': value })],
      });
    expect(of('default-gateway').config.peers[0]!.target).toEqual({ kind: 'default-gateway', family: 'ipv4' });
    expect(of('default-gateway-ipv6').config.peers[0]!.target).toEqual({ kind: 'default-gateway', family: 'ipv6' });
    const byKey = of('node-annotation/example.com/tor').config.peers[0]!.target;
    expect(byKey).toEqual({ kind: 'node-annotation', key: 'example.com/tor' });
    expect(of('dhcp').problems.map(formatProblem)[0]).toContain(
      'metadata.annotations.metallb.io/peer-address-from: "dhcp": this value is not valid; write default-gateway',
    );
    const both = resolveConfig({
      bgppeers: [annotated(peer(), { 'metallb.io/peer-address-from': 'default-gateway' })],
    });
    expect(both.problems.map(formatProblem)[0]).toContain('also says where the peer is; remove one of the two');
  });

  it('waits for the router, lets it speak first, and drops what comes from far away', () => {
    const annotations = {
      'metallb.io/passive': 'true',
      'metallb.io/delay-open': '5s',
      'metallb.io/ttl-security-hops': '1',
    };
    const [one] = resolveConfig({ bgppeers: [annotated(peer(), annotations)] }).config.peers;
    expect(one).toMatchObject({ passive: true, delayOpen: 5000, ttlSecurityHops: 1 });
    const bad = annotated(peer(), {
      'metallb.io/passive': 'yes',
      'metallb.io/delay-open': 'a while',
      'metallb.io/ttl-security-hops': '0',
    });
    expect(problems({ bgppeers: [bad] })).toHaveLength(3);
  });

  it('makes ways look longer, gives MED, and weighs nodes', () => {
    const annotations = {
      'metallb.io/as-path-prepend': '3',
      'metallb.io/med': '0',
      'metallb.io/link-bandwidth': 'endpoints',
    };
    const of = (object: KubernetesObject) => resolveConfig({ ipaddresspools: POOLS, bgpadvertisements: [object] });
    expect(of(annotated(advertisement(), annotations)).config.bgpAdvertisements[0]).toMatchObject({
      prepend: 3,
      med: 0,
      linkBandwidth: true,
    });
    expect(of(advertisement()).config.bgpAdvertisements[0]).toMatchObject({
      prepend: 0,
      med: undefined,
      linkBandwidth: false,
    });
    const bad = {
      'metallb.io/as-path-prepend': '-1',
      'metallb.io/med': '4294967296',
      'metallb.io/link-bandwidth': 'fast',
    };
    expect(of(annotated(advertisement(), bad)).problems).toHaveLength(3);
  });
});

describe('an FRR that others share (rule M2)', () => {
  const clashes = (...specs: object[]) =>
    resolveConfig(
      { bgppeers: specs.map((spec, i) => peer({ peerAddress: `192.0.2.${i + 1}`, ...spec }, `r${i}`)) },
      undefined,
      { engine: 'frr-k8s' },
    ).problems.map(formatProblem);

  it('has one router ID per node and one AS number per VRF', () => {
    expect(clashes({ routerID: '10.0.0.1' }, {})[0]).toContain('has 10.0.0.1, FRR has one router ID per node');
    expect(clashes({ myASN: 64512 }, { myASN: 64999 })[0]).toContain('FRR has one AS number per VRF');
    expect(clashes({ myASN: 64512 }, { myASN: 64999, vrf: 'red' })).toEqual([]);
    expect(clashes({ nodeSelectors: on('a') }, {}, {})).toEqual([]);
  });
});
