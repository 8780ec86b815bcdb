/**
 * What the embedded API refuses of our own kinds beyond their schemas: the rules that span objects. On a real API
 * server the admission webhook says the same.
 * @module
 */
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import { resolveConfig } from '../../core/config/resolve.ts';
import type { CustomAdmission } from './api/registry.ts';
import type { ApiObject } from './api/store.ts';

export const admitConfiguration: CustomAdmission = (object, { store, fault }) => {
  const others = (plural: string): KubernetesObject[] =>
    store
      .list(`${plural}.metallb.io`)
      .filter(({ metadata }) => metadata.uid !== object.metadata.uid) as KubernetesObject[];
  const withThis = (kind: string, plural: string) =>
    object.kind === kind ? [...others(plural), newest(object)] : others(plural);
  const { problems } = resolveConfig({
    pools: withThis('IPAddressPool', 'ipaddresspools'),
    l2Advertisements: withThis('L2Advertisement', 'l2advertisements'),
    namespaces: store.list('namespaces') as KubernetesObject[],
  });
  for (const problem of problems) {
    const { kind, name, namespace } = problem.object;
    if (kind !== object.kind || name !== object.metadata.name || namespace !== object.metadata.namespace) continue;
    fault(problem.field, `Invalid value: ${JSON.stringify(problem.value)}: ${problem.message}; ${problem.cure}`);
  }
  return object;
};

/** Of two objects that exclude each other the one that is being written is at fault, however old it is. */
function newest(object: ApiObject): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, creationTimestamp: '9999-12-31T23:59:59Z' } } as KubernetesObject;
}
