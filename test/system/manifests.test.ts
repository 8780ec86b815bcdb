/**
 * The plain manifests and kustomizations on a real kube-apiserver, with the CRDs of the Prometheus operator from its own module.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { findTool, HELM } from '../../lab/kubernetes/go-tool.ts';
import { must, run } from '../../lab/net/shell.ts';
import { parseAllYaml } from '../../src/adapters/files/yaml.ts';
import type { KubernetesObject } from '../../src/core/api/kubernetes.ts';
import { renderManifests } from '../../tools/manifests.ts';

const KUBECONFIG = process.env.METALLB_TEST_KUBECONFIG;
const helm = KUBECONFIG === undefined ? 'it needs a real API server: npm run test:cluster' : findTool(HELM);
const obstacle = typeof helm === 'string' ? helm : undefined;
const ROOT = resolve(import.meta.dirname, '../..');
const OPERATOR = 'github.com/prometheus-operator/prometheus-operator@v0.85.0';
const VARIANTS = { native: 'native', 'frr-k8s': 'frr-k8s', 'prometheus-native': 'native-prometheus' };

describe.skipIf(obstacle !== undefined)(
  `the manifests${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    const env = { KUBECONFIG };
    const kubectl = (args: readonly string[], input?: string) =>
      must(['kubectl', ...args], { env, ...(input !== undefined && { input }) });

    beforeAll(() => {
      const { Dir: directory } = JSON.parse(must(['go', 'mod', 'download', '-json', OPERATOR])) as {
        Dir: string;
      };
      for (const name of ['podmonitors', 'servicemonitors', 'prometheusrules']) {
        const file = join(directory, 'example/prometheus-operator-crd', `monitoring.coreos.com_${name}.yaml`);
        kubectl(['apply', '--server-side', '-f', file]);
        kubectl(['wait', '--for=condition=Established', `crd/${name}.monitoring.coreos.com`]);
      }
      for (const name of ['frr-k8s-system', 'monitoring']) run(['kubectl', 'create', 'namespace', name], { env });
    });

    it('are what the chart makes', () => {
      const rendered = renderManifests();
      if (typeof rendered === 'string') throw new Error(rendered);
      const drifted = [...rendered].filter(([path, text]) => readFileSync(join(ROOT, path), 'utf8') !== text);
      expect(drifted.map(([path]) => path)).toEqual([]);
      const there = readdirSync(join(ROOT, 'config'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.parentPath.endsWith('bases'))
        .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1));
      expect(there.sort()).toEqual([...rendered.keys()].filter((path) => path.startsWith('config/')).sort());
    });

    it.each(Object.entries(VARIANTS))(
      'config/%s gives what the all-in-one file has, and the API server takes it',
      (folder, file) => {
        const identity = ({ kind, metadata: { namespace, name } }: KubernetesObject) => `${kind} ${namespace} ${name}`;
        const all = readFileSync(join(ROOT, `config/manifests/metallb-${file}.yaml`), 'utf8');
        const objects = parseAllYaml(all) as KubernetesObject[];
        const built = parseAllYaml(kubectl(['kustomize', join(ROOT, 'config', folder)])) as KubernetesObject[];
        expect(built.map(identity).sort()).toEqual(objects.map(identity).sort());
        kubectl(['apply', '--server-side', '--dry-run=server', '--force-conflicts', '-f', '-'], all);
      },
    );

    it('monitors and rules of the chart are what the Prometheus operator takes', () => {
      const sets = [
        ['prometheus.podMonitor.enabled=true'],
        ['prometheus.serviceMonitor.enabled=true', 'prometheus.serviceMonitor.interval=15s'],
        ['prometheus.prometheusRule.enabled=true', 'prometheus.prometheusRule.addressPoolUsage.excludePools=spare-.*'],
      ];
      for (const set of sets) {
        const values = [...set, 'prometheus.serviceAccount=prometheus', 'prometheus.namespace=monitoring'];
        const flags = ['--namespace', 'monitoring', ...values.flatMap((value) => ['--set', value])];
        const chart = join(ROOT, 'charts/metallb');
        const documents = parseAllYaml(must([(helm as { path: string }).path, 'template', 'metallb', chart, ...flags]));
        const monitors = (documents as (KubernetesObject | null)[]).filter((document) =>
          document?.apiVersion?.startsWith('monitoring.coreos.com'),
        );
        expect(monitors.length).toBeGreaterThan(0);
        const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: monitors });
        // Fields that the operator does not know are an error, not a warning.
        kubectl(['create', '--dry-run=server', '-f', '-'], list);
      }
    });
  },
);
