/**
 * L2Advertisements (docs/behaviour/resources.md, rule A1), and what they have in common with BGPAdvertisements.
 * @module
 */
import { l2Advertisement } from '../api/kinds.ts';
import type { KubernetesObject, LabelSelector } from '../api/kubernetes.ts';
import { isIn } from '../api/membership.ts';
import { anySelectorMatches } from '../api/selector.ts';
import type { AdvertisementTargets, L2Advertisement, Pool } from './config.ts';
import type { Inspection } from './inspection.ts';

export function parseL2Advertisement(
  object: KubernetesObject,
  inspection: Inspection,
  pools: readonly Pool[],
): L2Advertisement | undefined {
  const validated = inspection.validate(l2Advertisement, object);
  if (validated === undefined) return undefined;
  const spec = validated.spec ?? {};
  const preferred = spec.preferredNodeSelectors ?? [];
  const path = ['spec', 'preferredNodeSelectors'];
  if (inspection.isListable(path, preferred))
    for (const [i, { preference }] of preferred.entries()) inspection.selector([...path, i, 'preference'], preference);
  return {
    ...parseTargets(object.metadata.name, spec, inspection, pools),
    interfaces: [...new Set(spec.interfaces ?? [])].sort(),
    preferences: preferred.map(({ weight, preference }) => ({ weight, selector: preference })),
  };
}

interface TargetFields {
  readonly ipAddressPools?: readonly string[] | undefined;
  readonly ipAddressPoolSelectors?: readonly LabelSelector[] | undefined;
  readonly nodeSelectors?: readonly LabelSelector[] | undefined;
  readonly serviceSelectors?: readonly LabelSelector[] | undefined;
}

/** The fields that both kinds of advertisement have. */
export function parseTargets(
  name: string,
  fields: TargetFields,
  inspection: Inspection,
  pools: readonly Pool[],
): AdvertisementTargets {
  const { ipAddressPools = [] } = fields;
  inspection.unique(['spec', 'ipAddressPools'], ipAddressPools);
  const selectors = (field: 'ipAddressPoolSelectors' | 'nodeSelectors' | 'serviceSelectors') =>
    inspection.selectors(['spec', field], fields[field]);
  return {
    name,
    pools: coveredPools(ipAddressPools, selectors('ipAddressPoolSelectors'), pools),
    nodeSelectors: selectors('nodeSelectors'),
    serviceSelectors: selectors('serviceSelectors'),
  };
}

/** Both fields empty: all pools. Otherwise the union of both (docs/behaviour/resources.md#l2advertisement). */
function coveredPools(
  names: readonly string[],
  selectors: readonly LabelSelector[],
  pools: readonly Pool[],
): Set<string> {
  const everything = names.length === 0 && selectors.length === 0;
  const covers = ({ name, labels }: Pool) =>
    everything || isIn(names, name) || (selectors.length > 0 && anySelectorMatches(selectors, labels));
  return new Set(pools.filter(covers).map(({ name }) => name));
}
