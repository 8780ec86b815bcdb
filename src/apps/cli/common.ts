/**
 * What controller and speaker both do at startup: read flags, connect, log, serve health and metrics, wait for signals.
 * @module
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { createServerCertificate } from '../../adapters/certificates/self-signed.ts';
import { type Readiness, serveHealth } from '../../adapters/http/health.ts';
import { type HttpRequest, type HttpResponse, type HttpServer, plain, serve } from '../../adapters/http/server.ts';
import { KubernetesClient } from '../../adapters/kubernetes/client.ts';
import { Connection } from '../../adapters/kubernetes/connection.ts';
import { TokenReviewer } from '../../adapters/kubernetes/token-review.ts';
import { createLog, LOG_LEVELS, type Log, type LogLevel } from '../../adapters/log/log.ts';
import { Metrics } from '../../adapters/metrics/metrics.ts';
import type { BgpEngine } from '../../core/config/config.ts';
import { CliError, listenError } from './errors.ts';
import { type Flag, isTrue } from './flags.ts';

const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** Values by flag name; flags that were not given and have no default are absent. */
export type FlagValues = Readonly<Record<string, string | true>>;

/** Adds the flags of a table to a command. */
export function addFlags(command: Command, flags: readonly Flag[]): Command {
  for (const { name, isSwitch, help, default: fallback } of flags) {
    const suffix = fallback ? ` (default: ${fallback})` : '';
    command.option(isSwitch ? `--${name}` : `--${name} <value>`, help + suffix);
  }
  return command;
}

/** Command line first, then the environment, then the default. */
export function flagValues(flags: readonly Flag[], given: Readonly<Record<string, unknown>>): FlagValues {
  const values: Record<string, string | true> = {};
  for (const { name, env, default: fallback } of flags) {
    const camel = name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const value =
      (given[camel] as string | true | undefined) ?? (env === undefined ? undefined : process.env[env]) ?? fallback;
    if (value !== undefined) values[name] = value;
  }
  return values;
}

/** Logs each flag that was given but has no effect yet. */
export function logLaterFlags(log: Log, flags: readonly Flag[], values: FlagValues): void {
  for (const { name, later, default: fallback } of flags) {
    if (later === undefined || values[name] === undefined || values[name] === fallback || values[name] === '') continue;
    log.info({ event: 'flagWithoutEffect', flag: `--${name}` }, `--${name} is accepted but has no effect: ${later}`);
  }
}

export function portFlag(values: FlagValues, name: string): number {
  const port = Number(values[name]);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new CliError(`--${name}: ${JSON.stringify(values[name])} is not a port; give a number from 0 to 65535`, 2);
  }
  return port;
}

/** A number of seconds. */
export function secondsFlag(values: FlagValues, name: string): number {
  const seconds = Number(values[name]);
  if (!Number.isFinite(seconds) || seconds < 0)
    throw new CliError(`--${name}: ${JSON.stringify(values[name])} is not a number of seconds; give 0 or more`, 2);
  return seconds;
}

export function booleanFlag(values: FlagValues, name: string): boolean {
  return isTrue(name, values[name]);
}

export function textFlag(values: FlagValues, name: string): string {
  const value = values[name];
  return typeof value === 'string' ? value : '';
}

export function openLog(values: FlagValues, component: string): Log {
  const level = textFlag(values, 'log-level');
  if (!Object.hasOwn(LOG_LEVELS, level)) {
    throw new CliError(
      `--log-level: ${JSON.stringify(level)} is not a log level; use one of ${Object.keys(LOG_LEVELS).join(', ')}`,
      2,
    );
  }
  return createLog(level as LogLevel, { component });
}

/**
 * Who speaks BGP on the nodes, as METALLB_BGP_TYPE says (docs/behaviour/resources.md, rule M3). A type that nobody knows
 * ends the speaker; whoever only judges objects takes it for native.
 */
export function bgpEngine(type = process.env.METALLB_BGP_TYPE): BgpEngine {
  return type === 'frr-k8s' ? 'frr-k8s' : 'native';
}

export interface Process {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly host: string;
}

/** Everything that a process needs before its own work begins. */
export function openProcess(values: FlagValues, component: string, mode: 'writes' | 'reads only' = 'writes'): Process {
  const log = openLog(values, component);
  const connection = Connection.open(textFlag(values, 'kubeconfig') || undefined);
  const metrics = new Metrics();
  return {
    client: new KubernetesClient(
      connection,
      `metallb-${component}`,
      (verb) => metrics.requested(verb),
      mode === 'reads only',
    ),
    namespace: textFlag(values, 'namespace') || ownNamespace() || 'metallb-system',
    log,
    metrics,
    host: hostname(),
  };
}

function ownNamespace(): string | undefined {
  try {
    return readFileSync(NAMESPACE_FILE, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Starts the health and metrics ports. Throws CliError when one of them is taken. */
export async function servePorts(
  values: FlagValues,
  healthHost: string,
  { metrics, client, log }: Pick<Process, 'metrics' | 'client' | 'log'>,
  readiness: () => Readiness,
): Promise<HttpServer[]> {
  const servers: HttpServer[] = [];
  const health = portFlag(values, 'health-probe-port');
  const scrape = portFlag(values, 'port');
  const open = async (what: string, host: string, port: number, start: () => Promise<HttpServer>) => {
    if (port === 0) return;
    try {
      servers.push(await start());
    } catch (error) {
      for (const server of servers) await server.close();
      throw listenError(what, host, port, error);
    }
  };
  await open('--health-probe-port', healthHost, health, () => serveHealth(healthHost, health, readiness));
  await open('--port', '0.0.0.0', scrape, async () => {
    const tls = {
      ...(await metricsCertificate(textFlag(values, 'metrics-cert-dir'))),
      minVersion: tlsMinVersion(values),
    };
    return serve({ host: '0.0.0.0', port: scrape, tls }, scrapeHandler(metrics, new TokenReviewer(client), log));
  });
  return servers;
}

/** HTTPS only, and only for those whom the API server lets read `/metrics` (docs/behaviour/metrics.md). */
function scrapeHandler(metrics: Metrics, reviewer: TokenReviewer, log: Log) {
  return async ({ path, headers }: HttpRequest): Promise<HttpResponse> => {
    if (path !== '/metrics') return plain(404, 'not found\n');
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
    if (token === undefined) return plain(401, 'a bearer token is required\n');
    try {
      const verdict = await reviewer.review(token, path);
      if (verdict === 'unauthenticated') return plain(401, 'the API server does not know this token\n');
      if (verdict === 'forbidden')
        return plain(403, 'the bearer may not get the non-resource URL /metrics; bind a ClusterRole that allows it\n');
    } catch (error) {
      log.warn({ event: 'tokenReviewFailed', error: (error as Error).message }, 'a token could not be reviewed');
      return plain(500, 'the API server could not review the token\n');
    }
    const { contentType, body } = await metrics.scrape();
    return { status: 200, headers: { 'content-type': contentType }, body };
  };
}

async function metricsCertificate(directory: string): Promise<{ cert: string; key: string }> {
  if (directory === '') return createServerCertificate([hostname(), 'localhost', '127.0.0.1']);
  return readCertificate('--metrics-cert-dir', directory);
}

/** Reads tls.crt and tls.key, as a mounted Secret has them. Throws CliError that names the flag. */
export function readCertificate(flag: string, directory: string): { cert: string; key: string } {
  const read = (name: string) => {
    try {
      return readFileSync(join(directory, name), 'utf8');
    } catch (error) {
      throw new CliError(`${flag}: ${join(directory, name)} cannot be read: ${(error as Error).message.split(',')[0]}`);
    }
  };
  return { cert: read('tls.crt'), key: read('tls.key') };
}

/** The lowest TLS version of every server. */
export function tlsMinVersion(values: FlagValues): 'TLSv1.2' | 'TLSv1.3' {
  const text = textFlag(values, 'tls-min-version') || 'VersionTLS13';
  if (text !== 'VersionTLS12' && text !== 'VersionTLS13') {
    throw new CliError(
      `--tls-min-version: ${JSON.stringify(text)} is not a TLS version; use VersionTLS12 or VersionTLS13`,
      2,
    );
  }
  return text === 'VersionTLS12' ? 'TLSv1.2' : 'TLSv1.3';
}

/** Resolves with the name of the signal that asks the process to end. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
}
