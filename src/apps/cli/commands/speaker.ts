/**
 * `metallb speaker`.
 * @module
 */
import type { Command } from 'commander';
import { realWallClock } from '../../../adapters/driver/clock.ts';
import { readExcludeFile } from '../../../adapters/files/exclude-file.ts';
import { followSecretKeys, readSecretKeys } from '../../../adapters/files/secret-keys.ts';
import type { Log } from '../../../adapters/log/log.ts';
import { parseAddress } from '../../../core/net/address.ts';
import type { Station } from '../../speaker/bmp-exporter.ts';
import { SpeakerApp, type SpeakerOptions } from '../../speaker/speaker-app.ts';
import {
  addFlags,
  type FlagValues,
  flagValues,
  logLaterFlags,
  openProcess,
  portFlag,
  secondsFlag,
  servePorts,
  textFlag,
  untilSignal,
} from '../common.ts';
import { CliError } from '../errors.ts';
import { SPEAKER_FLAGS } from '../flags.ts';
import { runShadow } from '../shadow.ts';

/** Pings that have to be missed before a speaker counts as dead. */
const MISSES = 3;

export function addSpeakerCommand(program: Command): void {
  const command = program
    .command('speaker')
    .description('make the network send traffic for the addresses to this node');
  addFlags(command, SPEAKER_FLAGS).action(async (given: Record<string, unknown>) => {
    const values = flagValues(SPEAKER_FLAGS, given);
    const node = textFlag(values, 'node-name');
    if (node === '')
      throw new CliError('--node-name is missing; give the name of the Kubernetes node, or set METALLB_NODE_NAME', 2);
    if (values.shadow === true) return runShadow(values, 'speaker', ['layer2', 'bgp'], node);
    const { client, namespace, log, metrics } = openProcess(values, 'speaker');
    logLaterFlags(log, SPEAKER_FLAGS, values);
    const liveness = livenessOptions(values, node, log);
    const app = new SpeakerApp({
      client,
      node,
      namespace,
      log,
      metrics,
      loadBalancerClass: textFlag(values, 'lb-class'),
      ignoreExcludeLabel: values['ignore-exclude-lb'] === true,
      drainOnCordon: values['drain-on-cordon'] === true,
      drainWait: secondsFlag(values, 'drain-wait') * 1000,
      poolChangeGrace: secondsFlag(values, 'pool-change-grace') * 1000,
      liveness,
      excludeLinks: readExcludeFile(),
      layer2: {
        refreshInterval: secondsFlag(values, 'l2-refresh-interval') * 1000,
        probeBeforeUse: values['probe-before-use'] === true,
        answerPing: values['answer-ping'] === true,
      },
      bgp: bgpOptions(values, namespace, log),
      rules: {
        balanced: choiceFlag(values, 'l2-election', ['hash', 'balanced']) === 'balanced',
        preempt: values['l2-no-preempt'] !== true,
      },
      podName: textFlag(values, 'pod-name'),
      recordTo: textFlag(values, 'record') || undefined,
    });
    // The host's network: health is nobody's business but the kubelet's.
    const servers = await servePorts(values, '127.0.0.1', { metrics, client, log }, () => app.readiness);
    log.info({ event: 'started', server: client.server, namespace, node }, 'speaker started');
    app.start();
    const endFollowing = followKeys(values, app, liveness?.secrets ?? [], log);
    const signal = await Promise.race([untilSignal(), app.failed]);
    log.info({ event: 'stopping', signal }, 'speaker stops');
    endFollowing();
    await new Promise<void>((resolve) => app.stop(resolve));
    for (const server of servers) await server.close();
  });
}

/** Upstream's rule: without a bind address or a label selector there is no speaker list (docs/behaviour/layer2.md#who-counts-as-alive). */
function livenessOptions(values: FlagValues, node: string, log: Log): SpeakerOptions['liveness'] {
  const bindAddress = textFlag(values, 'ml-bindaddr');
  const labelSelector = textFlag(values, 'ml-labels');
  if (bindAddress === '' || labelSelector === '') {
    log.info(
      { event: 'livenessOff' },
      'no --ml-bindaddr or no --ml-labels: every node is assumed to have a live speaker',
    );
    return undefined;
  }
  if (parseAddress(bindAddress) === undefined)
    throw new CliError(`--ml-bindaddr: ${JSON.stringify(bindAddress)} is not an IP address`, 2);
  const interval = Number(values['liveness-interval']);
  if (!Number.isInteger(interval) || interval < 10) {
    throw new CliError(
      `--liveness-interval: ${JSON.stringify(values['liveness-interval'])} is not a number of milliseconds; give 10 or more`,
      2,
    );
  }
  const keyPath = textFlag(values, 'ml-secret-key-path');
  if (keyPath === '')
    log.warn(
      { event: 'livenessNotAuthenticated' },
      'no --ml-secret-key-path: liveness messages are neither encrypted nor authenticated',
    );
  return {
    self: node,
    incarnation: BigInt(realWallClock()),
    interval,
    misses: MISSES,
    fenced: choiceFlag(values, 'partition-mode', ['available', 'fenced']) === 'fenced',
    bindAddress,
    port: portFlag(values, 'ml-bindport'),
    secrets: keyPath === '' ? [] : readKeys(keyPath),
    labelSelector,
  };
}

/** Who speaks BGP (docs/behaviour/resources.md, rule M3). Throws CliError for a type that nobody knows. */
function bgpOptions(values: FlagValues, namespace: string, log: Log): SpeakerOptions['bgp'] {
  const type = process.env.METALLB_BGP_TYPE || 'native';
  const frrNamespace = textFlag(values, 'frrk8s-namespace');
  const passthrough = values['frrk8s-secret-passthrough'] === true;
  if (passthrough && (type !== 'frr-k8s' || frrNamespace === ''))
    throw new CliError(
      '--frrk8s-secret-passthrough: it goes with METALLB_BGP_TYPE=frr-k8s and --frrk8s-namespace; give both, or leave it out',
      2,
    );
  if (type === 'frr-k8s') {
    const target = frrNamespace || namespace;
    return {
      engine: 'frr-k8s',
      namespace: target,
      secretPassthrough: passthrough,
      secrets: { byReference: passthrough || target === namespace, decode },
    };
  }
  if (type !== 'native' && type !== 'frr')
    throw new CliError(`METALLB_BGP_TYPE: ${JSON.stringify(type)} is none of native, frr-k8s, frr`, 2);
  if (type === 'frr')
    log.info(
      { event: 'bgpType', type },
      'METALLB_BGP_TYPE=frr: the speaker speaks BGP itself, with all that FRR did for it; no FRR is needed beside it',
    );
  return { engine: 'native', listenPort: portFlag(values, 'bgp-listen-port'), station: stationFlag(values) };
}

const decode = (base64: string) => Buffer.from(base64, 'base64').toString();

function stationFlag(values: FlagValues): Station | undefined {
  const text = textFlag(values, 'bmp-station');
  if (text === '') return undefined;
  const [, bracketed, plain, port = ''] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535 || Number(port) === 0)
    throw new CliError(`--bmp-station: ${JSON.stringify(text)} is not HOST:PORT, or [IPV6]:PORT`, 2);
  return { host, port: Number(port) };
}

function choiceFlag(values: FlagValues, name: string, choices: readonly string[]): string {
  const value = textFlag(values, name);
  if (!choices.includes(value))
    throw new CliError(`--${name}: ${JSON.stringify(value)} is none of ${choices.join(', ')}`, 2);
  return value;
}

/** Throws CliError, which names the flag. */
function readKeys(path: string): readonly Uint8Array[] {
  try {
    return readSecretKeys(path);
  } catch (error) {
    throw new CliError(`--ml-secret-key-path: ${(error as Error).message}`);
  }
}

/** Keys are exchanged without a restart. Returns how to stop following. */
function followKeys(values: FlagValues, app: SpeakerApp, keys: readonly Uint8Array[], log: Log): () => void {
  if (keys.length === 0) return () => {};
  return followSecretKeys(textFlag(values, 'ml-secret-key-path'), keys, {
    onKeys: (found) => {
      app.useSecrets(found);
      log.info({ event: 'livenessKeys', keys: found.length }, 'the keys of liveness messages have changed');
    },
    onTrouble: (message) =>
      log.warn(
        { event: 'livenessKeysNotTaken', error: message },
        'the keys of liveness messages have changed and cannot be used: those from before stay in force',
      ),
  });
}
