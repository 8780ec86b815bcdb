/**
 * `--shadow` of controller and speaker.
 * @module
 */
import type { Aspect } from '../../core/offline/differences.ts';
import { ShadowApp } from '../shadow/shadow-app.ts';
import { type FlagValues, openProcess, servePorts, textFlag, untilSignal } from './common.ts';

/** Runs until a signal comes. `node`: only what this node does counts. */
export async function runShadow(
  values: FlagValues,
  component: 'controller' | 'speaker',
  aspects: readonly Aspect[],
  node?: string,
): Promise<void> {
  const shared = openProcess(values, component, 'reads only');
  const { client, namespace, log } = shared;
  const loadBalancerClass = textFlag(values, 'lb-class');
  const app = new ShadowApp({
    client,
    log,
    namespace,
    loadBalancerClass,
    aspects,
    ...(node !== undefined && { node }),
  });
  const servers = await servePorts(values, '127.0.0.1', shared, () => app.readiness);
  log.info(
    { event: 'started', server: client.server, namespace, aspects },
    `${component} started as a shadow: it writes and sends nothing`,
  );
  await app.start();
  const signal = await untilSignal();
  log.info({ event: 'stopping', signal }, 'shadow stops');
  app.stop();
  for (const server of servers) await server.close();
}
