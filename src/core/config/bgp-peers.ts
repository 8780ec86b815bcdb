/**
 * BFDProfiles and BGPPeers (docs/behaviour/resources.md, rules F1, R1 to R7 and M2).
 * @module
 */

import { annotation } from '../api/annotations.ts';
import { parseDuration } from '../api/duration.ts';
import { type BGPPeerSpec, bfdProfile, bgpPeer } from '../api/kinds.ts';
import type { KubernetesObject, Secret } from '../api/kubernetes.ts';
import { formatAddress } from '../net/address.ts';
import type { BfdProfile, BgpEngine, Peer, PeerTarget } from './config.ts';
import { hasTemplate, peerExtensions, peerTemplate } from './extensions.ts';
import type { Inspection } from './inspection.ts';
import { mayComeToShareNode, type Nodes, shareNode } from './node-sets.ts';

export function parseBfdProfile(object: KubernetesObject, inspection: Inspection): BfdProfile | undefined {
  const validated = inspection.validate(bfdProfile, object);
  if (validated === undefined) return undefined;
  const { echoMode = false, passiveMode = false, ...numbers } = validated.spec ?? {};
  return { name: object.metadata.name, echoMode, passiveMode, ...numbers };
}

/** The objects that a peer may refer to. */
export interface PeerSurroundings {
  readonly bfdProfiles: readonly BfdProfile[];
  /** Secrets of the configuration's namespace; undefined: this process does not read Secrets. */
  readonly secrets: readonly Secret[] | undefined;
}

export function parsePeer(
  object: KubernetesObject,
  inspection: Inspection,
  surroundings: PeerSurroundings,
): Peer | undefined {
  const validated = inspection.validate(bgpPeer, object);
  if (validated === undefined) return undefined;
  const { spec } = validated;
  if (spec === undefined) {
    inspection.report(['spec'], '', 'the peer has no spec', 'give at least myASN, peerASN and peerAddress');
    return undefined;
  }
  const peerASN = peerAsnOf(spec, inspection);
  const target = peerTargetOf(object, spec, inspection);
  const timers = timersOf(spec, inspection);
  const sourceAddress = inspection.address(['spec', 'sourceAddress'], spec.sourceAddress);
  if (target?.kind === 'address' && sourceAddress && sourceAddress.family !== target.address.family) {
    inspection.report(
      ['spec', 'sourceAddress'],
      spec.sourceAddress!,
      `it is an ${sourceAddress.family} address, peerAddress is ${target.address.family}`,
      'give both in one IP family',
    );
  }
  const routerId = inspection.address(['spec', 'routerID'], spec.routerID);
  if (routerId?.family === 'ipv6')
    inspection.report(
      ['spec', 'routerID'],
      spec.routerID!,
      'a BGP identifier has four octets',
      'write an IPv4 address',
    );
  const nodeSelectors = inspection.selectors(['spec', 'nodeSelectors'], spec.nodeSelectors);
  const bfdProfile = bfdProfileOf(spec, inspection, surroundings);
  const password = passwordOf(object, spec, inspection, surroundings);
  if (peerASN === undefined || target === undefined) return undefined;
  return {
    name: object.metadata.name,
    myASN: spec.myASN,
    peerASN,
    localASN: spec.localASN,
    target,
    port: spec.peerPort ?? 179,
    sourceAddress,
    ...timers,
    routerId,
    nodeSelectors,
    password,
    ...secretReference(spec),
    bfdProfile,
    gracefulRestart: spec.enableGracefulRestart ?? false,
    ebgpMultiHop: spec.ebgpMultiHop ?? false,
    vrf: spec.vrf ?? '',
    dualStack: spec.dualStackAddressFamily ?? false,
    disableMP: spec.disableMP ?? false,
    ...peerExtensions(object, inspection),
  };
}

/** The AS number that the peer must have, or which kind of one (rules R1 and R2). */
function peerAsnOf(spec: BGPPeerSpec, inspection: Inspection): Peer['peerASN'] | undefined {
  const { myASN, peerASN = 0, dynamicASN, ebgpMultiHop } = spec;
  if (myASN === 0) inspection.report(['spec', 'myASN'], '0', 'AS number 0 is reserved', 'give your own AS number');
  if (peerASN !== 0 && dynamicASN !== undefined) {
    inspection.report(
      ['spec', 'dynamicASN'],
      dynamicASN,
      'peerASN and dynamicASN are both set',
      'remove one of the two',
    );
  } else if (peerASN === 0 && dynamicASN === undefined) {
    inspection.report(
      ['spec', 'peerASN'],
      String(peerASN),
      'the AS number of the peer is missing',
      'set peerASN, or dynamicASN to internal or external',
    );
  }
  const isInternal = dynamicASN === undefined ? peerASN === myASN && peerASN !== 0 : dynamicASN === 'internal';
  if (ebgpMultiHop && isInternal) {
    inspection.report(
      ['spec', 'ebgpMultiHop'],
      'true',
      'the peer is in our own AS, where there is no eBGP',
      'remove it: sessions inside an AS may be several hops long anyway',
    );
  }
  return dynamicASN ?? (peerASN === 0 ? undefined : peerASN);
}

function peerTargetOf(object: KubernetesObject, spec: BGPPeerSpec, inspection: Inspection): PeerTarget | undefined {
  const { peerAddress, interface: name } = spec;
  if (peerAddress && name) {
    inspection.report(['spec', 'interface'], name, 'peerAddress and interface are both set', 'remove one of the two');
    return undefined;
  }
  const template = peerTemplate(object, inspection);
  if (template !== undefined && (peerAddress || name)) {
    const [field, value] = peerAddress ? ['peerAddress', peerAddress] : ['interface', name!];
    const message = `the annotation ${annotation('peer-address-from')} also says where the peer is`;
    inspection.report(['spec', field], value, message, 'remove one of the two');
    return undefined;
  }
  if (template !== undefined) return template;
  if (!inspection.isClean && hasTemplate(object)) return undefined;
  if (name) return { kind: 'interface', name };
  if (!peerAddress) {
    inspection.report(['spec', 'peerAddress'], '', 'nothing says where the peer is', 'set peerAddress, or interface');
    return undefined;
  }
  const address = inspection.address(['spec', 'peerAddress'], peerAddress);
  return address && { kind: 'address', address };
}

/** Rule R3. Fractions of a second are dropped, as upstream does: BGP messages carry whole seconds. */
function timersOf(spec: BGPPeerSpec, inspection: Inspection): Pick<Peer, 'holdTime' | 'keepaliveTime' | 'connectTime'> {
  const read = (field: 'holdTime' | 'keepaliveTime' | 'connectTime') => {
    const text = spec[field];
    if (text === undefined) return undefined;
    const value = parseDuration(text);
    if (value === undefined)
      inspection.report(['spec', field], text, 'this is not a duration', 'write it with a unit, for example 90s');
    else if (value < 0) inspection.report(['spec', field], text, 'it is negative', 'give zero or more');
    return value;
  };
  const [hold, keepalive, connectTime] = [read('holdTime'), read('keepaliveTime'), read('connectTime')];
  const holdTime = hold ?? (keepalive === undefined ? undefined : 3 * keepalive);
  const keepaliveTime = keepalive ?? (hold === undefined ? undefined : hold / 3);
  const seconds = Math.trunc((holdTime ?? 0) / 1000);
  if (holdTime !== undefined && (seconds < 0 || seconds === 1 || seconds === 2)) {
    const [field, text] = hold === undefined ? ['keepaliveTime', spec.keepaliveTime] : ['holdTime', spec.holdTime];
    const message = `the hold time is ${seconds} s, which RFC 4271 §4.2 forbids`;
    inspection.report(['spec', field!], text!, message, 'make it 0s, or 3s or more');
  } else if (seconds > 0xffff) {
    inspection.report(['spec', 'holdTime'], spec.holdTime ?? '', 'the hold time is longer than 65535 s', 'shorten it');
  }
  if (hold !== undefined && keepalive !== undefined && keepalive > hold)
    inspection.report(
      ['spec', 'keepaliveTime'],
      spec.keepaliveTime!,
      `it is longer than the hold time of ${spec.holdTime}`,
      'make it a third of the hold time, or leave it out',
    );
  return { holdTime, keepaliveTime, connectTime };
}

/** The name of the BFDProfile, which may be created later (rule R6). */
function bfdProfileOf(spec: BGPPeerSpec, inspection: Inspection, surroundings: PeerSurroundings): string | undefined {
  const { bfdProfile: name } = spec;
  if (!name) return undefined;
  if (!surroundings.bfdProfiles.some((profile) => profile.name === name)) {
    inspection.awaits(
      ['spec', 'bfdProfile'],
      name,
      'there is no valid BFDProfile of this name',
      'create it, or correct the name',
    );
  }
  return name;
}

/** As it is written: whoever is handed the reference reads the Secret, and need not look where we do. */
function secretReference({ passwordSecret: { name, namespace } = {} }: BGPPeerSpec): Pick<Peer, 'passwordSecret'> {
  return name ? { passwordSecret: { name, ...(namespace && { namespace }) } } : {};
}

const BASIC_AUTH = 'kubernetes.io/basic-auth';

/** Rule R5. No problem may quote the password. */
function passwordOf(
  object: KubernetesObject,
  spec: BGPPeerSpec,
  inspection: Inspection,
  { secrets }: PeerSurroundings,
): Peer['password'] {
  const name = spec.passwordSecret?.name;
  const path = ['spec', 'passwordSecret', 'name'];
  if (!name) return spec.password ? { encoding: 'utf8', text: spec.password } : undefined;
  if (spec.password) {
    inspection.report(path, name, 'password and passwordSecret are both set', 'remove password');
    return undefined;
  }
  if (secrets === undefined) return undefined;
  const namespace = object.metadata.namespace ?? '';
  const secret = secrets.find(({ metadata }) => metadata.name === name && (metadata.namespace ?? '') === namespace);
  const create = `kubectl -n ${namespace} create secret generic ${name} --type=${BASIC_AUTH} --from-literal=password=…`;
  if (secret === undefined) {
    inspection.awaits(path, name, `there is no Secret ${namespace}/${name} of type ${BASIC_AUTH}`, create);
    return undefined;
  }
  if (secret.type !== BASIC_AUTH) {
    const message = `the Secret ${namespace}/${name} is of type ${secret.type ?? 'Opaque'}`;
    inspection.report(path, name, message, `recreate it: ${create}`);
    return undefined;
  }
  const { password } = secret.data ?? {};
  if (password === undefined) {
    inspection.report(path, name, `the Secret ${namespace}/${name} has no key password`, 'add the key password');
    return undefined;
  }
  return { encoding: 'base64', text: password };
}

/** One session per router: two peers on one node cannot have the same address, port and VRF (rules R7 and M2). */
export function peerClashes(
  peer: Peer,
  accepted: Iterable<Peer>,
  inspection: Inspection,
  nodes: Nodes,
  engine: BgpEngine,
): void {
  const key = routerKey(peer);
  for (const other of accepted) {
    const isSameRouter = routerKey(other) === key;
    const isAtOdds = engine === 'frr-k8s' && areAtOdds(peer, other);
    // On which nodes two peers run takes a look at every node: only where it matters.
    const where = isSameRouter || isAtOdds ? whereBothRun(peer, other, nodes) : undefined;
    if (where === undefined) continue;
    if (isAtOdds) routerClashes(peer, other, where, inspection);
    if (!isSameRouter) continue;
    const [field, value] = placeOf(peer);
    const message = `BGPPeer ${other.name} is the same router, and ${where.both}`;
    inspection.report(field, value, message, `remove one of the two, or ${where.apart}`);
  }
}

/** Where two peers would be in each other's way, in words: that they are, and how to keep them apart. */
interface Where {
  readonly both: string;
  readonly apart: string;
}

/** Like upstream, a peer is held against those that it may meet on nodes to come when there are none to judge by. */
function whereBothRun(a: Peer, b: Peer, nodes: Nodes): Where | undefined {
  if (shareNode(a.nodeSelectors, b.nodeSelectors, nodes))
    return { both: 'both run on one node', apart: 'give them nodeSelectors that share no node' };
  if (!mayComeToShareNode(a.nodeSelectors, b.nodeSelectors, nodes)) return undefined;
  return {
    both: 'a node may come on which both run, for one of them selects no node today',
    apart: 'give them nodeSelectors that exclude each other, such as two values of one label, or label the nodes first',
  };
}

/** FRR has one router ID per node and one AS number per VRF (rule M2). */
function areAtOdds(a: Peer, b: Peer): boolean {
  return a.routerId?.value !== b.routerId?.value || (a.vrf === b.vrf && a.myASN !== b.myASN);
}

function routerClashes(peer: Peer, other: Peer, { both, apart }: Where, inspection: Inspection): void {
  const id = ({ routerId }: Peer) => (routerId === undefined ? '' : formatAddress(routerId));
  const has = (what: string, limit: string) => `BGPPeer ${other.name} has ${what}, ${limit}, and ${both}`;
  const cure = (field: string) => `give both the same ${field}, or ${apart}, or use BGP type native`;
  if (id(peer) !== id(other)) {
    const message = has(id(other) || 'no routerID', 'FRR has one router ID per node');
    inspection.report(['spec', 'routerID'], id(peer), message, cure('routerID'));
  }
  if (peer.vrf === other.vrf && peer.myASN !== other.myASN) {
    const message = has(String(other.myASN), 'FRR has one AS number per VRF');
    inspection.report(['spec', 'myASN'], String(peer.myASN), message, cure('myASN'));
  }
}

/** The path of the field that says where the peer is, and its value. */
export function placeOf({ target }: Pick<Peer, 'target'>): [field: readonly string[], value: string] {
  switch (target.kind) {
    case 'address':
      return [['spec', 'peerAddress'], formatAddress(target.address)];
    case 'interface':
      return [['spec', 'interface'], target.name];
    case 'default-gateway':
      return [TEMPLATE, `${target.kind} ${target.family}`];
    case 'node-annotation':
      return [TEMPLATE, target.key];
    case 'unknown':
      return [TEMPLATE, target.why];
  }
}

const TEMPLATE = ['metadata', 'annotations', annotation('peer-address-from')];

const routerKeys = new WeakMap<Peer, string>();

function routerKey(peer: Peer): string {
  let key = routerKeys.get(peer);
  if (key === undefined) {
    const { target, port, vrf } = peer;
    key = JSON.stringify([target.kind, ...placeOf(peer), port, vrf]);
    routerKeys.set(peer, key);
  }
  return key;
}
