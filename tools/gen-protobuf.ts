/**
 * Makes src/kube-api/http/kubernetes-protobuf.json: names and numbers of the protobuf fields of the kinds that
 * the embedded API serves. Run by hand when kinds are added:
 *
 *   go mod download k8s.io/api@v0.33.0 k8s.io/apimachinery@v0.33.0
 *   node tools/gen-protobuf.ts "$(go env GOMODCACHE)"
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';

const VERSION = 'v0.33.0';
const FILES = [
  ...['core/v1', 'apps/v1', 'discovery/v1', 'coordination/v1'].map((path) => `api@${VERSION}/${path}`),
  ...['pkg/apis/meta/v1', 'pkg/runtime', 'pkg/runtime/schema', 'pkg/util/intstr', 'pkg/api/resource'].map(
    (path) => `apimachinery@${VERSION}/${path}`,
  ),
];
const WANTED = [
  ...['Namespace', 'Node', 'Service', 'Pod', 'Secret', 'ConfigMap', 'ServiceAccount', 'Event'].map(
    (kind) => `k8s.io.api.core.v1.${kind}`,
  ),
  'k8s.io.api.apps.v1.Deployment',
  'k8s.io.api.discovery.v1.EndpointSlice',
  'k8s.io.api.coordination.v1.Lease',
  'k8s.io.apimachinery.pkg.runtime.Unknown',
  'k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions',
];

const cache = process.argv[2];
if (cache === undefined) throw new Error('name the Go module cache: node tools/gen-protobuf.ts "$(go env GOMODCACHE)"');
const root = new protobuf.Root();
for (const file of FILES)
  protobuf.parse(readFileSync(join(cache, 'k8s.io', file, 'generated.proto'), 'utf8'), root, { keepCase: true });

/** Fully qualified name -> field name -> [number, type, modifier]; modifiers: r repeated, m map of strings to the type. */
const types: Record<string, Record<string, [number, string, string?]>> = {};
const visit = (name: string) => {
  if (name in types) return;
  const type = root.lookupType(name);
  types[name] = {};
  for (const field of type.fieldsArray.sort((a, b) => a.id - b.id)) {
    field.resolve();
    const target = field.resolvedType?.fullName.slice(1) ?? field.type;
    const modifier = field instanceof protobuf.MapField ? 'm' : field.repeated ? 'r' : undefined;
    types[name][field.name] = modifier === undefined ? [field.id, target] : [field.id, target, modifier];
    if (field.resolvedType instanceof protobuf.Type) visit(target);
  }
};
for (const name of WANTED) visit(name);
const lines = Object.entries(types).map(([name, fields]) => `${JSON.stringify(name)}:${JSON.stringify(fields)}`);
writeFileSync('src/kube-api/http/kubernetes-protobuf.json', `{\n${lines.join(',\n')}\n}\n`);
