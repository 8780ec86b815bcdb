/**
 * What upstream's CRDs have no field for: annotations on BGPPeers and BGPAdvertisements, so that the CRDs stay as they are.
 * @module
 */
import { type AnnotationOn, annotation } from '../api/annotations.ts';
import { parseDuration } from '../api/duration.ts';
import type { KubernetesObject } from '../api/kubernetes.ts';
import type { BgpAdvertisement, Peer, PeerTarget } from './config.ts';
import type { Inspection } from './inspection.ts';

const NODE_ANNOTATION = 'node-annotation/';
const LONGEST_PREPEND = 32;

/** Parses the value of an annotation; undefined: it is invalid, which `read` reports. */
type Reader<T> = (text: string) => T | undefined;

function read<T>(
  { metadata }: KubernetesObject,
  inspection: Inspection,
  name: AnnotationOn<'BGPPeer' | 'BGPAdvertisement'>,
  reader: Reader<T>,
  cure: string,
): T | undefined {
  const text = metadata.annotations?.[annotation(name)];
  if (text === undefined) return undefined;
  const value = reader(text);
  if (value === undefined)
    inspection.report(['metadata', 'annotations', annotation(name)], text, 'this value is not valid', cure);
  return value;
}

const number =
  (least: number, most: number): Reader<number> =>
  (text) =>
    /^\d{1,10}$/.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : undefined;

const choice =
  <T>(values: Readonly<Record<string, T>>): Reader<T> =>
  (text) =>
    Object.hasOwn(values, text) ? values[text] : undefined;

const delay: Reader<number> = (text) => {
  const value = parseDuration(text);
  return value === undefined || value < 0 ? undefined : value;
};

export type PeerExtensions = Pick<Peer, 'passive' | 'delayOpen' | 'ttlSecurityHops'>;

export function peerExtensions(object: KubernetesObject, inspection: Inspection): PeerExtensions {
  const truth = choice({ true: true, false: false });
  return {
    passive: read(object, inspection, 'passive', truth, 'write true or false') ?? false,
    delayOpen: read(object, inspection, 'delay-open', delay, 'write a duration, for example 5s') ?? 0,
    ttlSecurityHops: read(object, inspection, 'ttl-security-hops', number(1, 254), 'give a number from 1 to 254'),
  };
}

/** True when the object has the annotation of a template, whether its value is valid or not. */
export function hasTemplate({ metadata }: KubernetesObject): boolean {
  return metadata.annotations?.[annotation('peer-address-from')] !== undefined;
}

/** Where a peer template finds the router; undefined: the peer is no template, or its annotation is invalid. */
export function peerTemplate(object: KubernetesObject, inspection: Inspection): PeerTarget | undefined {
  const cure = `write default-gateway, default-gateway-ipv6, or ${NODE_ANNOTATION} and the key of an annotation of the Nodes`;
  const reader: Reader<PeerTarget> = (text) => {
    if (text === 'default-gateway') return { kind: 'default-gateway', family: 'ipv4' };
    if (text === 'default-gateway-ipv6') return { kind: 'default-gateway', family: 'ipv6' };
    const key = text.startsWith(NODE_ANNOTATION) ? text.slice(NODE_ANNOTATION.length) : '';
    return key === '' ? undefined : { kind: 'node-annotation', key };
  };
  return read(object, inspection, 'peer-address-from', reader, cure);
}

export type AdvertisementExtensions = Pick<BgpAdvertisement, 'prepend' | 'med' | 'linkBandwidth'>;

export function advertisementExtensions(object: KubernetesObject, inspection: Inspection): AdvertisementExtensions {
  const times = number(0, LONGEST_PREPEND);
  return {
    prepend: read(object, inspection, 'as-path-prepend', times, `give a number from 0 to ${LONGEST_PREPEND}`) ?? 0,
    med: read(object, inspection, 'med', number(0, 0xffffffff), 'give a number from 0 to 4294967295'),
    linkBandwidth:
      read(object, inspection, 'link-bandwidth', choice({ endpoints: true, none: false }), 'write endpoints or none') ??
      false,
  };
}
