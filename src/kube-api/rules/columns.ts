/**
 * Columns of `kubectl get`: of built-in kinds, and the additional printer columns of CustomResourceDefinitions.
 * @module
 */

import { own } from '../../core/api/json.ts';
import type { ApiObject } from '../storage/store.ts';
import type { Column } from './resource.ts';

/** The time since `timestamp` in kubectl's short form, such as `2d1h`. `now` is in milliseconds since 1970. */
export function age(timestamp: string | undefined, now: number): string {
  if (timestamp === undefined || timestamp === null) return '<unknown>';
  const seconds = Math.max(0, Math.floor((now - Date.parse(timestamp)) / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  if (days < 8) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (days < 730) return `${days}d`;
  return `${Math.floor(days / 365)}y`;
}

const NONE = '<none>';

const name: Column = { name: 'Name', type: 'string', value: (o) => o.metadata.name };
export const ageColumn: Column = { name: 'Age', value: (o, now) => age(o.metadata.creationTimestamp, now) };
const wide = (title: string, value: Column['value']): Column => ({ name: title, priority: 1, value });
const pairs = (map: Record<string, string> | undefined): string =>
  map === undefined || Object.keys(map).length === 0
    ? NONE
    : Object.entries(map)
        .map(([k, v]) => `${k}=${v}`)
        .join(',');
const list = (items: readonly unknown[] | undefined): string =>
  items === undefined || items.length === 0 ? NONE : items.join(',');

interface PortSpec {
  readonly port: number;
  readonly nodePort?: number;
  readonly protocol?: string;
}

function externalIp(service: ApiObject): string {
  const { type, externalIPs, externalName } = service.spec;
  const ingress = (service.status?.loadBalancer?.ingress ?? []) as { ip?: string; hostname?: string }[];
  switch (type) {
    case 'ExternalName':
      return externalName ?? NONE;
    case 'LoadBalancer':
      return [...ingress.map(({ ip, hostname }) => ip || hostname), ...(externalIPs ?? [])].join(',') || '<pending>';
    default:
      return list(externalIPs);
  }
}

const ports = (service: ApiObject): string =>
  list(
    (service.spec.ports as PortSpec[] | undefined)?.map(
      (p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ''}/${p.protocol ?? 'TCP'}`,
    ),
  );

function nodeStatus(node: ApiObject): string {
  const ready = node.status?.conditions?.find((condition: { type: string }) => condition.type === 'Ready');
  const text = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return node.spec?.unschedulable ? `${text},SchedulingDisabled` : text;
}

function nodeRoles(node: ApiObject): string {
  const prefix = 'node-role.kubernetes.io/';
  return list(
    Object.keys(node.metadata.labels ?? {})
      .filter((label) => label.startsWith(prefix))
      .map((label) => label.slice(prefix.length)),
  );
}

const containers = (object: ApiObject): { name: string; image: string }[] =>
  object.spec?.template?.spec?.containers ?? object.spec?.containers ?? [];

const reported = (object: ApiObject): string => object.status?.containerStatuses ?? [];

/** By store key: the plural, and the group if it is not the core one. */
export const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  services: [
    name,
    { name: 'Type', value: (o) => o.spec.type },
    { name: 'Cluster-IP', value: (o) => o.spec.clusterIP || NONE },
    { name: 'External-IP', value: externalIp },
    { name: 'Port(s)', value: ports },
    ageColumn,
    wide('Selector', (o) => pairs(o.spec.selector)),
  ],
  nodes: [
    name,
    { name: 'Status', value: nodeStatus },
    { name: 'Roles', value: nodeRoles },
    ageColumn,
    { name: 'Version', value: (o) => o.status?.nodeInfo?.kubeletVersion ?? '' },
    wide(
      'Internal-IP',
      (o) => o.status?.addresses?.find((a: { type: string }) => a.type === 'InternalIP')?.address ?? NONE,
    ),
  ],
  pods: [
    name,
    {
      name: 'Ready',
      value: (o) => {
        const statuses = reported(o) as unknown as { ready: boolean }[];
        return `${statuses.filter(({ ready }) => ready).length}/${containers(o).length}`;
      },
    },
    { name: 'Status', value: (o) => (o.metadata.deletionTimestamp ? 'Terminating' : (o.status?.phase ?? 'Pending')) },
    { name: 'Restarts', type: 'integer', value: () => 0 },
    ageColumn,
    wide('IP', (o) => o.status?.podIP ?? NONE),
    wide('Node', (o) => o.spec?.nodeName ?? NONE),
  ],
  namespaces: [name, { name: 'Status', value: (o) => o.status?.phase ?? 'Active' }, ageColumn],
  secrets: [
    name,
    { name: 'Type', value: (o) => o.type ?? 'Opaque' },
    { name: 'Data', type: 'integer', value: (o) => Object.keys(o.data ?? {}).length },
    ageColumn,
  ],
  configmaps: [
    name,
    { name: 'Data', type: 'integer', value: (o) => Object.keys({ ...o.data, ...o.binaryData }).length },
    ageColumn,
  ],
  events: [
    { name: 'Last Seen', value: (o, now) => age(o.lastTimestamp ?? o.eventTime ?? o.metadata.creationTimestamp, now) },
    { name: 'Type', value: (o) => o.type ?? '' },
    { name: 'Reason', value: (o) => o.reason ?? '' },
    {
      name: 'Object',
      value: (o) => `${String(o.involvedObject?.kind ?? '').toLowerCase()}/${o.involvedObject?.name ?? ''}`,
    },
    { name: 'Message', value: (o) => String(o.message ?? '').trim() },
    wide('Source', (o) => o.source?.component ?? o.reportingComponent ?? ''),
    wide('Count', (o) => o.count ?? 1),
  ],
  'endpointslices.discovery.k8s.io': [
    name,
    { name: 'AddressType', value: (o) => o.addressType ?? '' },
    { name: 'Ports', value: (o) => list(o.ports?.map((p: { port: number }) => p.port)) },
    { name: 'Endpoints', value: (o) => list(o.endpoints?.flatMap((e: { addresses: string[] }) => e.addresses)) },
    ageColumn,
  ],
  'leases.coordination.k8s.io': [name, { name: 'Holder', value: (o) => o.spec?.holderIdentity ?? '' }, ageColumn],
  'deployments.apps': [
    name,
    { name: 'Ready', value: (o) => `${o.status?.readyReplicas ?? 0}/${o.spec?.replicas ?? 1}` },
    { name: 'Up-to-date', type: 'integer', value: (o) => o.status?.updatedReplicas ?? 0 },
    { name: 'Available', type: 'integer', value: (o) => o.status?.availableReplicas ?? 0 },
    ageColumn,
    wide('Containers', (o) => list(containers(o).map((c) => c.name))),
    wide('Images', (o) => list(containers(o).map((c) => c.image))),
    wide('Selector', (o) => pairs(o.spec?.selector?.matchLabels)),
  ],
  'customresourcedefinitions.apiextensions.k8s.io': [
    name,
    { name: 'Created At', value: (o) => o.metadata.creationTimestamp ?? '' },
  ],
};

export const DEFAULT_COLUMNS: readonly Column[] = [name, ageColumn];

/** A printer column of a custom resource. */
export function customColumn(column: { name: string; type: string; jsonPath: string; priority?: number }): Column {
  return {
    name: column.name,
    type: column.type,
    priority: column.priority ?? 0,
    value: (object, now) => {
      let value: unknown = object;
      for (const piece of column.jsonPath.split('.').filter((p) => p !== ''))
        value = own(value as Record<string, unknown> | undefined, piece);
      if (value === undefined || value === null) return '';
      if (column.type === 'date') return age(String(value), now);
      return typeof value === 'object' ? JSON.stringify(value) : (value as string | number);
    },
  };
}

export { name as nameColumn };
