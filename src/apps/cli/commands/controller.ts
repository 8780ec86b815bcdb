/**
 * `metallb controller`.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ensureMemberlistSecret } from '../../../adapters/kubernetes/memberlist-secret.ts';
import { ControllerApp } from '../../controller/controller-app.ts';
import { WebhookServer } from '../../controller/webhook-server.ts';
import type { WebhookOptions } from '../../controller/webhooks.ts';
import {
  addFlags,
  bgpEngine,
  booleanFlag,
  type FlagValues,
  flagValues,
  logLaterFlags,
  openProcess,
  type Process,
  portFlag,
  readCertificate,
  secondsFlag,
  servePorts,
  textFlag,
  tlsMinVersion,
  untilSignal,
} from '../common.ts';
import { CliError, listenError } from '../errors.ts';
import { CONTROLLER_FLAGS } from '../flags.ts';
import { runShadow } from '../shadow.ts';

export function addControllerCommand(program: Command): void {
  const command = program.command('controller').description('give every Service of type LoadBalancer its address');
  addFlags(command, CONTROLLER_FLAGS).action(async (given: Record<string, unknown>) => {
    const values = flagValues(CONTROLLER_FLAGS, given);
    if (values.shadow === true) return runShadow(values, 'controller', ['addresses']);
    const { client, namespace, log, metrics, host } = openProcess(values, 'controller');
    logLaterFlags(log, CONTROLLER_FLAGS, values);
    if (textFlag(values, 'webhook-mode') === 'onlywebhook') {
      await serveWebhooksOnly(values, { client, namespace, log, metrics, host });
      return;
    }
    const lost = new EventEmitter();
    const identity = `${host}_${randomUUID()}`;
    const app = new ControllerApp({
      client,
      namespace,
      host,
      log,
      metrics,
      loadBalancerClass: textFlag(values, 'lb-class'),
      poolChangeGrace: secondsFlag(values, 'pool-change-grace') * 1000,
      keepUntilServed: values['keep-address-until-served'] === true,
      bgpEngine: bgpEngine(),
      shareAcrossNamespaces: booleanFlag(values, 'share-across-namespaces'),
      ...(values['leader-elect'] === true && {
        leaderElection: { namespace, identity, onStepDown: (why: string) => void lost.emit('lost', why) },
      }),
      configMap: textFlag(values, 'config-map') || undefined,
      podName: textFlag(values, 'pod-name'),
      recordTo: textFlag(values, 'record') || undefined,
    });
    const servers = await servePorts(values, '0.0.0.0', { metrics, client, log }, () => app.readiness);
    const webhooks = await startWebhooks(values, { client, namespace, log, services: () => app.services });
    const secret = textFlag(values, 'ml-secret-name');
    if (secret !== '') {
      const outcome = await ensureMemberlistSecret(client, namespace, secret, textFlag(values, 'deployment'));
      log.info({ event: 'memberlistSecret', secret, outcome }, `memberlist Secret ${outcome}`);
    }
    log.info({ event: 'started', server: client.server, namespace }, 'controller started');
    app.start();
    // A controller that has lost the Lease must not write any more: it exits, and restarts as a standby.
    const lostLease = once(lost, 'lost').then(([why]) => {
      throw new CliError(`the Lease was lost: ${why}`);
    });
    const signal = await Promise.race([untilSignal(), lostLease]);
    log.info({ event: 'stopping', signal }, 'controller stops');
    await new Promise<void>((resolve) => app.stop(resolve));
    for (const server of servers) await server.close();
    await webhooks?.close();
  });
}

async function serveWebhooksOnly(values: FlagValues, shared: Process): Promise<void> {
  const ready = () => ({ ready: true, state: 'serving webhooks only' });
  const servers = await servePorts(values, '0.0.0.0', shared, ready);
  const webhooks = await startWebhooks(values, { ...shared, services: () => [] });
  shared.log.info({ event: 'started', server: shared.client.server }, 'webhooks started');
  await untilSignal();
  for (const server of servers) await server.close();
  await webhooks?.close();
}

const MODES = ['enabled', 'disabled', 'onlywebhook'];

async function startWebhooks(values: FlagValues, shared: WebhookOptions): Promise<WebhookServer | undefined> {
  const mode = textFlag(values, 'webhook-mode');
  if (!MODES.includes(mode))
    throw new CliError(
      `--webhook-mode: ${JSON.stringify(mode)} is not a webhook mode; use one of ${MODES.join(', ')}`,
      2,
    );
  if (mode === 'disabled') return undefined;
  const port = portFlag(values, 'webhook-port');
  const minVersion = tlsMinVersion(values);
  const directory = textFlag(values, 'cert-dir') || join(tmpdir(), 'k8s-webhook-server', 'serving-certs');
  const certificates = values['disable-cert-rotation']
    ? readCertificate('--cert-dir', directory)
    : { secret: textFlag(values, 'webhook-secret'), service: textFlag(values, 'cert-service-name') };
  try {
    return await WebhookServer.start({ ...shared, bgpEngine: bgpEngine(), port, minVersion, certificates });
  } catch (error) {
    throw listenError('--webhook-port', '0.0.0.0', port, error);
  }
}
