/**
 * What clients ask for first: groups, resources, version, and the OpenAPI document.
 * @module
 */
import { groupVersion, type Resource } from '../rules/resource.ts';

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** The Kubernetes release whose behaviour clients may expect. */
export const VERSION = {
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.0+metallb',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'none',
  platform: 'linux/amd64',
};

export function apiVersions(): object {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
}

export function groupList(resources: readonly Resource[]): object {
  const groups = [...new Set(resources.map(({ group }) => group))].filter((group) => group !== '').sort();
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map((group) => apiGroup(resources, group)) };
}

/** The most mature version of a group is the preferred one. */
export function apiGroup(resources: readonly Resource[], group: string): object {
  const names = [...new Set(resources.filter((r) => r.group === group).map((r) => r.version))].sort(byMaturity);
  const versions = names.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { kind: 'APIGroup', apiVersion: 'v1', name: group, versions, preferredVersion: versions[0] };
}

/** v1 before v1beta2 before v1beta1 (Kubernetes' order of versions). */
function byMaturity(a: string, b: string): number {
  const rank = (name: string) => (/alpha/.test(name) ? 2 : /beta/.test(name) ? 1 : 0);
  return rank(a) - rank(b) || b.localeCompare(a, 'en', { numeric: true });
}

export function resourceList(resources: readonly Resource[], group: string, version: string): object | undefined {
  const own = resources.filter((r) => r.group === group && r.version === version);
  if (own.length === 0) return undefined;
  const entries = own.flatMap((r) => {
    const base = { name: r.plural, singularName: r.singular, namespaced: r.namespaced, kind: r.kind };
    const main = { ...base, verbs: VERBS, shortNames: r.shortNames ?? [], categories: r.categories ?? [] };
    const status = { ...base, name: `${r.plural}/status`, singularName: '', verbs: ['get', 'patch', 'update'] };
    return r.hasStatus ? [main, status] : [main];
  });
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersion(own[0]!), resources: entries };
}

/**
 * An OpenAPI v2 document without definitions, in the protobuf form that kubectl asks for (gnostic's Document: swagger = 1,
 * info = 2 with title = 1 and version = 2, paths = 8). Without definitions, clients leave the validation of objects to us.
 */
export function openApiV2Protobuf(): Uint8Array {
  const field = (number: number, content: Uint8Array) =>
    Buffer.concat([Uint8Array.of((number << 3) | 2, content.length), content]);
  const text = (value: string) => Buffer.from(value);
  const info = Buffer.concat([field(1, text('Kubernetes')), field(2, text(VERSION.gitVersion))]);
  return Buffer.concat([field(1, text('2.0')), field(2, info), field(8, new Uint8Array())]);
}

export function openApiV2(): object {
  return { swagger: '2.0', info: { title: 'Kubernetes', version: VERSION.gitVersion }, paths: {}, definitions: {} };
}
