/**
 * What controller and speaker do alike at their start: read flags, connect, log, serve health and metrics, wait for signals.
 * @module
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { serveHealth } from '../../adapters/http/health.ts';
import { type HttpServer, serve } from '../../adapters/http/server.ts';
import { KubernetesClient } from '../../adapters/kubernetes/client.ts';
import { Connection } from '../../adapters/kubernetes/connection.ts';
import { createLog, LOG_LEVELS, type Log, type LogLevel } from '../../adapters/log/log.ts';
import { Metrics } from '../../adapters/metrics/metrics.ts';
import { CliError, listenError } from './errors.ts';
import type { Flag } from './flags.ts';

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

/** Says once for each flag that was given and does nothing yet. */
export function logLaterFlags(log: Log, flags: readonly Flag[], values: FlagValues): void {
  for (const { name, later, default: fallback } of flags) {
    if (later === undefined || values[name] === undefined || values[name] === fallback || values[name] === '') continue;
    log.info({ event: 'flagWithoutEffect', flag: `--${name}` }, `--${name} is accepted and without effect: ${later}`);
  }
}

export function portFlag(values: FlagValues, name: string): number {
  const port = Number(values[name]);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new CliError(`--${name}: ${JSON.stringify(values[name])} is no port; give a number from 0 to 65535`, 2);
  }
  return port;
}

export function textFlag(values: FlagValues, name: string): string {
  const value = values[name];
  return typeof value === 'string' ? value : '';
}

export function openLog(values: FlagValues, component: string): Log {
  const level = textFlag(values, 'log-level');
  if (!Object.hasOwn(LOG_LEVELS, level)) {
    throw new CliError(
      `--log-level: ${JSON.stringify(level)} is no level; use one of ${Object.keys(LOG_LEVELS).join(', ')}`,
      2,
    );
  }
  return createLog(level as LogLevel, { component });
}

export interface Process {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly host: string;
}

/** Everything that a process needs before its own work begins. */
export function openProcess(values: FlagValues, component: string): Process {
  const log = openLog(values, component);
  const connection = Connection.open(textFlag(values, 'kubeconfig') || undefined);
  return {
    client: new KubernetesClient(connection, `metallb-${component}`),
    namespace: textFlag(values, 'namespace') || ownNamespace() || 'metallb-system',
    log,
    metrics: new Metrics(),
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
  metrics: Metrics,
  isReady: () => boolean,
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
  await open('--health-probe-port', healthHost, health, () => serveHealth(healthHost, health, isReady));
  await open('--port', '127.0.0.1', scrape, () =>
    serve({ host: '127.0.0.1', port: scrape }, async ({ path }) => {
      if (path !== '/metrics') return { status: 404, body: 'not found\n' };
      const { contentType, body } = await metrics.scrape();
      return { status: 200, headers: { 'content-type': contentType }, body };
    }),
  );
  return servers;
}

/** Resolves with the name of the signal that asks the process to end. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
}
