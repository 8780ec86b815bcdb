/**
 * `metallb standalone`: everything in one process, without a cluster.
 * @module
 */
import { hostname, networkInterfaces } from 'node:os';
import type { Command } from 'commander';
import { readExcludeFile } from '../../../adapters/files/exclude-file.ts';
import { KubernetesClient } from '../../../adapters/kubernetes/client.ts';
import { Connection } from '../../../adapters/kubernetes/connection.ts';
import type { Log } from '../../../adapters/log/log.ts';
import { Metrics } from '../../../adapters/metrics/metrics.ts';
import { UPSTREAM_RULES } from '../../../core/speaker/state.ts';
import { type EmbeddedApi, ensure, INTERNAL_WRITE, startEmbeddedApi } from '../../../kube-api/embedded-api.ts';
import { ControllerApp } from '../../controller/controller-app.ts';
import { SpeakerApp } from '../../speaker/speaker-app.ts';
import { openDataDirectory } from '../../standalone/data-directory.ts';
import { addFlags, flagValues, openLog, textFlag, untilSignal } from '../common.ts';
import { CliError, listenError } from '../errors.ts';
import type { Flag } from '../flags.ts';
import { show } from '../terminal.ts';

const FLAGS: readonly Flag[] = [
  { name: 'data-dir', help: 'directory for objects, certificate and kubeconfig (required)' },
  { name: 'listen', default: '127.0.0.1:7443', help: 'address and port of the Kubernetes API' },
  { name: 'api-only', isSwitch: true, help: 'serve the Kubernetes API and nothing else' },
  { name: 'node-name', help: 'name of this host as a node (default: its host name)' },
  { name: 'namespace', help: 'read configuration from this namespace only (default: from all)' },
  { name: 'lb-class', default: '', help: 'handle only Services of this loadBalancerClass' },
  { name: 'log-level', default: 'warn', help: 'all, debug, info, warn, error or none' },
];

export function addStandaloneCommand(program: Command): void {
  const command = program
    .command('standalone')
    .description('a small Kubernetes API, controller and speaker in one process');
  addFlags(command, FLAGS).action(async (given: Record<string, unknown>) => {
    const values = flagValues(FLAGS, given);
    const log = openLog(values, 'standalone');
    const directory = textFlag(values, 'data-dir');
    if (directory === '') throw new CliError('--data-dir is missing; give a directory to keep the objects in', 2);
    const { host, port } = parseListen(textFlag(values, 'listen'));
    const { api, kubeconfig } = await startApi(directory, host, port, log);
    show(
      `Kubernetes API:  https://${host}:${api.port}\nkubeconfig:      ${kubeconfig}\nTry:             export KUBECONFIG=${kubeconfig}\n                 kubectl get services --all-namespaces\n`,
    );
    if (values['api-only'] === true) {
      await untilSignal();
      await api.close();
      return;
    }
    const node = textFlag(values, 'node-name') || hostname().toLowerCase();
    registerNode(api, node);
    const client = new KubernetesClient(Connection.open(kubeconfig), 'metallb-standalone');
    const namespace = textFlag(values, 'namespace') || undefined;
    const poolChangeGrace = 5000;
    const shared = {
      poolChangeGrace,
      client,
      namespace,
      log,
      metrics: new Metrics(),
      loadBalancerClass: textFlag(values, 'lb-class'),
    };
    const controller = new ControllerApp({ ...shared, host: node });
    const speaker = new SpeakerApp({
      ...shared,
      node,
      ignoreExcludeLabel: false,
      drainOnCordon: false,
      drainWait: 10_000,
      liveness: undefined,
      excludeLinks: readExcludeFile(),
      layer2: { refreshInterval: 60_000, probeBeforeUse: false, answerPing: false },
      rules: UPSTREAM_RULES,
      bgp: { engine: 'native', listenPort: 0, station: undefined },
    });
    controller.start();
    speaker.start();
    await Promise.race([untilSignal(), speaker.failed]);
    await Promise.all([controller, speaker].map((app) => new Promise<void>((resolve) => app.stop(resolve))));
    await api.close();
  });
}

async function startApi(
  directory: string,
  host: string,
  port: number,
  log: Log,
): Promise<{ api: EmbeddedApi; kubeconfig: string }> {
  const { store, certificate, token, kubeconfig, publish } = await openDataDirectory(directory, host);
  for (const text of store.losses) log.warn({ event: 'objectsLost', directory }, `--data-dir ${directory}: ${text}`);
  try {
    const api = await startEmbeddedApi({ store, certificate, token, host, port });
    publish(port);
    return { api, kubeconfig };
  } catch (error) {
    throw listenError('--listen', host, port, error);
  }
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65535) {
    throw new CliError(`--listen: ${JSON.stringify(text)} is not ADDRESS:PORT, for example 127.0.0.1:7443`, 2);
  }
  return { host: match[1] ?? match[2]!, port };
}

/** This host as a Node: the speaker needs one to be elected. */
function registerNode(api: EmbeddedApi, name: string): void {
  const nodes = api.registry.find('', 'v1', 'nodes')!;
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' };
  const node = ensure(api.objects, nodes, undefined, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    spec: {},
  });
  const addresses = Object.values(networkInterfaces())
    .flat()
    .filter((entry) => entry !== undefined && !entry.internal && entry.family === 'IPv4')
    .slice(0, 1)
    .map((entry) => ({ type: 'InternalIP', address: entry!.address }));
  const status = {
    addresses,
    conditions: [{ type: 'Ready', status: 'True', reason: 'Standalone', message: 'the standalone process runs' }],
  };
  api.objects.update(nodes, undefined, name, { ...node, status }, { ...INTERNAL_WRITE, subresource: 'status' });
}
