/**
 * Converts the configuration format of releases before 0.13, YAML in a ConfigMap, to custom resources
 * (docs/behaviour/config-map.md).
 * @module
 */
import { parseDuration } from '../api/duration.ts';
import { legacyConfig } from '../api/legacy.ts';
import { fieldPath, type Problem, showValueAt } from '../api/problem.ts';

/** A custom resource as it will be written. */
export interface ConvertedResource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: object;
}

export type Conversion =
  | { readonly ok: true; readonly resources: readonly ConvertedResource[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Converts the parsed YAML. Problems name the ConfigMap `source`; the resources are made in `namespace`. */
export function convertLegacy(document: unknown, source: string, namespace: string): Conversion {
  const parsed = legacyConfig.safeParse(document ?? {});
  const object = { kind: 'ConfigMap', namespace, name: source };
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => ({
      object,
      field: fieldPath(['data', 'config', ...issue.path]),
      value: showValueAt(document, issue.path),
      message: issue.message,
      cure: 'fix it in the ConfigMap and convert again',
    }));
    return { ok: false, problems };
  }
  const problems: Problem[] = [];
  const fail = (path: readonly PropertyKey[], value: string, message: string, cure: string) =>
    void problems.push({ object, field: fieldPath(['data', 'config', ...path]), value, message, cure });
  const resources = convert(parsed.data, namespace, fail);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, resources };
}

type Fail = (path: readonly PropertyKey[], value: string, message: string, cure: string) => void;
type Legacy = ReturnType<typeof legacyConfig.parse>;

function convert(config: Legacy, namespace: string, fail: Fail): ConvertedResource[] {
  const resource = (kind: string, name: string, spec: object): ConvertedResource => ({
    apiVersion: kind === 'BGPPeer' ? 'metallb.io/v1beta2' : 'metallb.io/v1beta1',
    kind,
    metadata: { name, namespace },
    spec,
  });
  const named = (path: readonly PropertyKey[], text: string) => legalName(path, text, fail);
  const peers = config.peers.map((peer, i) =>
    resource('BGPPeer', `peer${i + 1}`, {
      myASN: peer['my-asn'],
      peerASN: peer['peer-asn'],
      peerAddress: peer['peer-address'],
      ...given('sourceAddress', peer['source-address']),
      ...given('peerPort', peer['peer-port']),
      holdTime: seconds(['peers', i, 'hold-time'], peer['hold-time'] ?? '90s', true, fail),
      ...given(
        'keepaliveTime',
        peer['keepalive-time'] && seconds(['peers', i, 'keepalive-time'], peer['keepalive-time'], false, fail),
      ),
      ...given('routerID', peer['router-id']),
      ...given('nodeSelectors', peer['node-selectors']?.map(toSelector)),
      ...given('password', peer.password),
      ...given('bfdProfile', peer['bfd-profile'] && named(['peers', i, 'bfd-profile'], peer['bfd-profile'])),
      ...given('ebgpMultiHop', peer['ebgp-multihop']),
    }),
  );
  const pools: ConvertedResource[] = [];
  const bgp: ConvertedResource[] = [];
  const layer2: ConvertedResource[] = [];
  for (const [i, pool] of config['address-pools'].entries()) {
    const name = named(['address-pools', i, 'name'], pool.name);
    pools.push(
      resource('IPAddressPool', name, {
        addresses: pool.addresses,
        ...given('autoAssign', pool['auto-assign']),
        ...given('avoidBuggyIPs', pool['avoid-buggy-ips']),
      }),
    );
    if (pool.protocol === 'layer2')
      layer2.push(resource('L2Advertisement', `l2advertisement${layer2.length + 1}`, { ipAddressPools: [name] }));
    const advertisements = pool['bgp-advertisements'] ?? (pool.protocol === 'bgp' ? [{}] : []);
    for (const advertisement of advertisements.length === 0 && pool.protocol === 'bgp' ? [{}] : advertisements) {
      const spec = {
        ipAddressPools: [name],
        ...given('aggregationLength', advertisement['aggregation-length']),
        ...given('aggregationLengthV6', advertisement['aggregation-length-v6']),
        ...given('localPref', advertisement.localpref),
        ...given('communities', advertisement.communities),
      };
      bgp.push(resource('BGPAdvertisement', `bgpadvertisement${bgp.length + 1}`, spec));
    }
  }
  const profiles = config['bfd-profiles'].map((profile, i) =>
    resource('BFDProfile', named(['bfd-profiles', i, 'name'], profile.name), {
      ...given('receiveInterval', profile['receive-interval']),
      ...given('transmitInterval', profile['transmit-interval']),
      ...given('detectMultiplier', profile['detect-multiplier']),
      ...given('echoInterval', profile['echo-interval']),
      echoMode: profile['echo-mode'] ?? false,
      passiveMode: profile['passive-mode'] ?? false,
      ...given('minimumTtl', profile['minimum-ttl']),
    }),
  );
  const aliases = Object.entries(config['bgp-communities']).sort(([a], [b]) => (a < b ? -1 : 1));
  const communities = aliases.map(([name, value]) => ({ name, value }));
  const community = communities.length === 0 ? [] : [resource('Community', 'communities', { communities })];
  return [...peers, ...pools, ...bgp, ...layer2, ...profiles, ...community];
}

function given(name: string, value: unknown): object {
  return value === undefined ? {} : { [name]: value };
}

/** Upstream truncates timers to whole seconds; a hold time is zero or at least three seconds (RFC 4271 §4.2). */
function seconds(path: readonly PropertyKey[], text: string, isHoldTime: boolean, fail: Fail): string {
  const milliseconds = parseDuration(text);
  const whole = Math.floor((milliseconds ?? 0) / 1000);
  if (milliseconds === undefined) fail(path, text, 'this is not a duration', 'write it with a unit, for example 90s');
  else if (isHoldTime && whole !== 0 && whole < 3)
    fail(path, text, 'a hold time is 0 or at least 3 seconds', 'write 0s, or 3s or more');
  return `${whole}s`;
}

function toSelector(selector: NonNullable<Legacy['peers'][number]['node-selectors']>[number]): object {
  return {
    ...given('matchLabels', selector['match-labels']),
    ...given('matchExpressions', selector['match-expressions']),
  };
}

const LEGAL = /^[a-z][-a-z0-9]{0,61}[a-z0-9]$/;

/** In the old format a name was any text; object names are restricted (docs/behaviour/config-map.md#names). */
function legalName(path: readonly PropertyKey[], text: string, fail: Fail): string {
  if (LEGAL.test(text)) return text;
  const name = text
    .slice(0, 63)
    .toLowerCase()
    .replaceAll('_', '-')
    .replace(/^[^a-z]+/, '')
    .replace(/[^-a-z0-9]/g, '-')
    .replace(/-+$/, '');
  if (name === '') fail(path, text, 'the name has no letter', 'give it a name with letters');
  return name;
}
