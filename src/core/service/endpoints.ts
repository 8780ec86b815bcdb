/**
 * Which endpoints of a Service can serve, and on which nodes they are.
 * @module
 */
import { type EndpointSlice, SERVICE_NAME_LABEL } from '../api/kubernetes.ts';

type EndpointConditions = NonNullable<EndpointSlice['endpoints']>[number]['conditions'];

/** Key `namespace/name` of the Service that the slice belongs to; undefined if it belongs to none. */
export function serviceOf({ metadata: { namespace = '', labels } }: EndpointSlice): string | undefined {
  const name = labels?.[SERVICE_NAME_LABEL];
  return name === undefined ? undefined : `${namespace}/${name}`;
}

/** An unset `ready` means true (EndpointSlice API), and a terminating endpoint may still be serving. */
export function isServing(conditions: EndpointConditions): boolean {
  return conditions?.ready === undefined || conditions.ready || conditions.serving === true;
}

/**
 * The nodes with serving endpoints, those on `dead` nodes not counted (docs/behaviour/layer2.md#endpoints). `any`: some
 * endpoint serves, on whatever node. `withAddress`: only endpoints that have an address count.
 */
export function servingNodes(
  slices: readonly EndpointSlice[],
  dead: ReadonlySet<string>,
  withAddress = false,
): { any: boolean; named: Set<string> } {
  const named = new Set<string>();
  let any = false;
  for (const { endpoints } of slices) {
    for (const { nodeName, conditions, addresses } of endpoints ?? []) {
      if (withAddress && addresses.length === 0) continue;
      if (!isServing(conditions) || (nodeName !== undefined && dead.has(nodeName))) continue;
      any = true;
      if (nodeName !== undefined) named.add(nodeName);
    }
  }
  return { any, named };
}
