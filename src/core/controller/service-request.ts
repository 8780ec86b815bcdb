/**
 * What a Service asks for, read from its spec and annotations.
 * @module
 */
import { objectKey, type Service } from '../api/kubernetes.ts';
import type { Labels } from '../api/selector.ts';
import type { AddressUse, AllocationRequest } from '../ipam/request.ts';
import { type IpAddress, type IpFamily, parseAddress } from '../net/address.ts';
import { familyName } from '../reasons/allocation.ts';
import type { EventNote } from '../reasons/reasons.ts';
import { annotationKey, userAnnotation } from '../service/annotations.ts';

/** Families of the cluster IPs, primary first; an event when they cannot be determined. */
export function clusterFamilies(service: Service): IpFamily[] | EventNote {
  const texts = service.spec?.clusterIPs?.length ? service.spec.clusterIPs : [service.spec?.clusterIP ?? ''];
  const bad = (message: string): EventNote => ({ reason: 'noclusterIPsIPFamily', message });
  if (texts[0] === '') return bad('the Service has no cluster IP yet');
  if (texts[0] === 'None') return bad('the Service is headless (clusterIP None), and an address needs a cluster IP');
  const families = texts.map((text) => parseAddress(text)?.family);
  if (texts.length > 2 || families.includes(undefined) || (families.length === 2 && families[0] === families[1]))
    return bad(`cluster IPs [${texts.join(', ')}] are neither one address nor one of each IP family`);
  return families as IpFamily[];
}

/** How the Service uses an address (docs/behaviour/allocation.md#sharing). */
export function useOf(service: Service): AddressUse {
  const { selector = {}, ports = [], externalTrafficPolicy } = service.spec ?? {};
  const { deletionTimestamp, finalizers = [] } = service.metadata;
  const pairs = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
  return {
    sharingKey: userAnnotation(service, 'allow-shared-ip') ?? '',
    backendKey: externalTrafficPolicy === 'Local' ? pairs.sort().join(',') : '',
    ports: ports.map(({ protocol = 'TCP', port }) => `${protocol}/${port}`),
    ...(deletionTimestamp !== undefined && { finalizers }),
  };
}

/** What the Service asks of the pools; undefined when its cluster IPs are invalid. */
export function requestOfService(service: Service): AllocationRequest | undefined {
  const families = clusterFamilies(service);
  if (!Array.isArray(families)) return undefined;
  const wish = wishedAddresses(service);
  const request = requestOf(service, families);
  return wish.ok ? { ...request, wished: wish.addresses } : request;
}

export function requestOf(service: Service, families: readonly IpFamily[]): AllocationRequest {
  const pool = userAnnotation(service, 'address-pool');
  return {
    use: useOf(service),
    service: objectKey(service),
    namespace: service.metadata.namespace ?? '',
    labels: service.metadata.labels ?? {},
    families,
    requireBoth: service.spec?.ipFamilyPolicy !== 'PreferDualStack',
    ...(pool ? { pool } : {}),
  };
}

/** What the Service says of itself that pools go by. */
export interface Asked {
  readonly pool: string;
  readonly labels: Labels;
}

export function askedOf(service: Service): Asked {
  return { pool: userAnnotation(service, 'address-pool') ?? '', labels: service.metadata.labels ?? {} };
}

export type Wish =
  | { readonly ok: true; readonly addresses: readonly IpAddress[] }
  | { readonly ok: false; readonly message: string };

/** The addresses that the user asks for by annotation or by spec.loadBalancerIP: at most one of each family. */
export function wishedAddresses(service: Service): Wish {
  const annotation = userAnnotation(service, 'loadBalancerIPs');
  const field = service.spec?.loadBalancerIP;
  const where = annotation ? `annotation ${annotationKey(service, 'loadBalancerIPs')}` : 'spec.loadBalancerIP';
  if (annotation && field) {
    return { ok: false, message: `${where} and spec.loadBalancerIP are both set; remove one of them` };
  }
  const texts = annotation ? annotation.split(',').map((text) => text.trim()) : field ? [field] : [];
  const addresses: IpAddress[] = [];
  for (const text of texts) {
    const address = parseAddress(text);
    if (address === undefined)
      return { ok: false, message: `${where}: ${JSON.stringify(text)} is not an IP address; write one from a pool` };
    if (addresses.some(({ family }) => family === address.family)) {
      return {
        ok: false,
        message: `${where}: more than one ${familyName(address.family)} address; request at most one of each family`,
      };
    }
    addresses.push(address);
  }
  return { ok: true, addresses };
}
