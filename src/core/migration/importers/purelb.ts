/**
 * PureLB: ServiceGroups (purelb.io/v1), whose `local` pools become IPAddressPools.
 * @module
 */
import type { KubernetesObject } from '../../api/kubernetes.ts';
import { type Imported, type ImportedObject, l2Advertisement, objectName, pool } from './imported.ts';

interface Block {
  readonly pool?: string;
  readonly subnet?: string;
  readonly aggregation?: string;
}

interface ServiceGroup extends KubernetesObject {
  readonly spec?: {
    readonly local?: Block & {
      readonly v4pool?: Block;
      readonly v6pool?: Block;
      readonly v4pools?: readonly Block[];
      readonly v6pools?: readonly Block[];
    };
    readonly netbox?: object;
  };
}

/** The group that Services without an annotation use. */
const DEFAULT_GROUP = 'default';

export function importPureLb(objects: readonly KubernetesObject[], namespace: string): Imported {
  const found: ImportedObject[] = [];
  const notes: string[] = [];
  for (const { kind, metadata, spec } of objects as readonly ServiceGroup[]) {
    if (kind === 'LBNodeAgent')
      notes.push(
        `LBNodeAgent ${metadata.name}: choose interfaces with spec.interfaces of an L2Advertisement; to announce addresses of other subnets, use a BGPAdvertisement`,
      );
    if (kind !== 'ServiceGroup') continue;
    const { local } = spec ?? {};
    if (local === undefined) {
      notes.push(
        `ServiceGroup ${metadata.name}: only local pools are carried over; list the addresses from NetBox in an IPAddressPool`,
      );
      continue;
    }
    const blocks = [local, local.v4pool, ...(local.v4pools ?? []), local.v6pool, ...(local.v6pools ?? [])];
    const addresses = blocks.flatMap((block) => (block?.pool === undefined ? [] : [block.pool]));
    if (addresses.length === 0) {
      notes.push(`ServiceGroup ${metadata.name}: it has no pool`);
      continue;
    }
    const name = objectName(metadata.name);
    found.push(pool(name, namespace, { addresses, ...(name !== DEFAULT_GROUP && { autoAssign: false }) }));
    const lengths = blocks
      .flatMap((block) => block?.aggregation ?? [])
      .filter((text) => !/^(default|\/32|\/128)$/.test(text));
    if (lengths.length > 0)
      notes.push(
        `ServiceGroup ${metadata.name}: aggregation ${lengths.join(', ')}: set spec.aggregationLength of a BGPAdvertisement`,
      );
    if (name !== DEFAULT_GROUP)
      notes.push(
        `Services with the annotation purelb.io/service-group: ${metadata.name} need metallb.io/address-pool: ${name} (kubectl annotate service NAME metallb.io/address-pool=${name})`,
      );
  }
  if (found.length > 0)
    found.push(l2Advertisement('purelb', namespace, { ipAddressPools: found.map(({ metadata }) => metadata.name) }));
  return { objects: found, notes };
}
