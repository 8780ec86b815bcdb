/**
 * Does for our own kinds in the embedded API what webhooks do in a cluster: rejects objects that break the rules, those
 * between objects included, and converts between versions.
 * @module
 */

import { type Admission, admit, admitDeletion } from '../../core/admission/admission.ts';
import { convertBgpPeer } from '../../core/api/bgp-peer-conversion.ts';
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import { quoted } from '../../core/api/text.ts';
import { apiVersionOf, CONFIG_RESOURCES, type ConfigObjects, resourceOfKind } from '../../core/config/resolve.ts';
import type { ApiObject, Store } from '../storage/store.ts';
import type { CustomBehaviour } from './definitions.ts';

export const CONFIGURATION: CustomBehaviour = {
  write: (object, { store, fault, warn }) => {
    const resource = resourceOfKind(object.kind);
    if (resource === undefined) return object;
    const current = inVersion(object, apiVersionOf(resource));
    tell(admit(resource, current as KubernetesObject, storedObjects(store)), fault, warn);
    return object;
  },
  deletion: (object, { store, fault, warn }) => {
    const resource = resourceOfKind(object.kind);
    if (resource !== undefined)
      tell(admitDeletion(resource, object as KubernetesObject, storedObjects(store)), fault, warn);
  },
  convert: inVersion,
};

/** BGPPeer is the one kind with more than one version. */
function inVersion(object: ApiObject, apiVersion: string): ApiObject {
  if (object.kind !== 'BGPPeer') return { ...object, apiVersion };
  return (convertBgpPeer(object as KubernetesObject, apiVersion) ?? object) as ApiObject;
}

function storedObjects(store: Store): ConfigObjects {
  const list = (key: string) => store.list(key) as KubernetesObject[];
  const configuration = CONFIG_RESOURCES.map((resource) => [resource, list(`${resource}.metallb.io`)]);
  return {
    ...Object.fromEntries(configuration),
    namespaces: list('namespaces'),
    nodes: list('nodes'),
    services: list('services'),
  };
}

function tell(
  { refusals, warnings }: Admission,
  fault: (field: string, message: string) => void,
  warn: (message: string) => void,
): void {
  for (const { field, value, message, cure } of refusals)
    fault(field, `Invalid value: ${quoted(value)}: ${message}; ${cure}`);
  for (const warning of warnings) warn(warning);
}
