/**
 * The shipped manifest, adapted for the user: namespace, image, and the first pool.
 * @module
 */
import type { KubernetesObject } from '../api/kubernetes.ts';

/** Where the shipped manifest puts everything. */
export const SHIPPED_NAMESPACE = 'metallb-system';

export interface InstallationChoices {
  readonly namespace: string;
  /** Undefined: the shipped one. */
  readonly image: string | undefined;
  /** Empty: no pool is written. */
  readonly addresses: readonly string[];
  readonly pool: string;
}

/**
 * All objects in the order in which they are applied. The pool comes before the webhooks: nobody serves them until the
 * controller has started.
 */
export function installation(shipped: readonly KubernetesObject[], choices: InstallationChoices): KubernetesObject[] {
  const objects = shipped.map((object) => retarget(object, choices) as KubernetesObject);
  const isWebhook = ({ kind }: KubernetesObject) => kind === 'ValidatingWebhookConfiguration';
  const rest = objects.filter((object) => !isWebhook(object));
  return [...rest, ...firstPool(choices), ...objects.filter(isWebhook)];
}

function firstPool({ namespace, addresses, pool }: InstallationChoices): KubernetesObject[] {
  if (addresses.length === 0) return [];
  const metadata = { name: pool, namespace };
  const objects = [
    { apiVersion: 'metallb.io/v1beta1', kind: 'IPAddressPool', metadata, spec: { addresses } },
    { apiVersion: 'metallb.io/v1beta1', kind: 'L2Advertisement', metadata, spec: { ipAddressPools: [pool] } },
  ];
  return objects;
}

function retarget(value: unknown, choices: InstallationChoices): unknown {
  if (typeof value === 'string') return retargetText(value, choices);
  if (Array.isArray(value)) return value.map((item) => retarget(item, choices));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === 'image' && typeof item === 'string' ? (choices.image ?? item) : retarget(item, choices),
    ]),
  );
}

/** Namespaces, and names of cluster-wide objects that begin with one. */
function retargetText(text: string, { namespace }: InstallationChoices): string {
  if (text === SHIPPED_NAMESPACE) return namespace;
  return text.startsWith(`${SHIPPED_NAMESPACE}:`) ? namespace + text.slice(SHIPPED_NAMESPACE.length) : text;
}
