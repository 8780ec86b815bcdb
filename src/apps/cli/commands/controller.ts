/**
 * `metallb controller`.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { Command } from 'commander';
import { ensureMemberlistSecret } from '../../../adapters/kubernetes/memberlist-secret.ts';
import { ControllerApp } from '../../controller/controller-app.ts';
import { addFlags, flagValues, logLaterFlags, openProcess, servePorts, textFlag, untilSignal } from '../common.ts';
import { CliError } from '../errors.ts';
import { CONTROLLER_FLAGS } from '../flags.ts';

export function addControllerCommand(program: Command): void {
  const command = program.command('controller').description('give every Service of type LoadBalancer its address');
  addFlags(command, CONTROLLER_FLAGS).action(async (given: Record<string, unknown>) => {
    const values = flagValues(CONTROLLER_FLAGS, given);
    const { client, namespace, log, metrics, host } = openProcess(values, 'controller');
    logLaterFlags(log, CONTROLLER_FLAGS, values);
    const lost = new EventEmitter();
    const identity = `${host}_${randomUUID()}`;
    const app = new ControllerApp({
      client,
      namespace,
      host,
      log,
      metrics,
      loadBalancerClass: textFlag(values, 'lb-class'),
      ...(values['leader-elect'] === true && {
        leaderElection: { namespace, identity, onStepDown: (why: string) => void lost.emit('lost', why) },
      }),
      podName: textFlag(values, 'pod-name'),
      recordTo: textFlag(values, 'record') || undefined,
    });
    const servers = await servePorts(values, '0.0.0.0', { metrics, client, log }, () => app.ready);
    const secret = textFlag(values, 'ml-secret-name');
    if (secret !== '') {
      const outcome = await ensureMemberlistSecret(client, namespace, secret, textFlag(values, 'deployment'));
      log.info({ event: 'memberlistSecret', secret, outcome }, `memberlist Secret ${outcome}`);
    }
    log.info({ event: 'started', server: client.server, namespace }, 'controller started');
    app.start();
    // A controller that has lost the Lease must not write any more: it ends, and starts anew as a standby.
    const lostLease = once(lost, 'lost').then(([why]) => {
      throw new CliError(`the Lease is lost: ${why}`);
    });
    const signal = await Promise.race([untilSignal(), lostLease]);
    log.info({ event: 'stopping', signal }, 'controller stops');
    await app.stop();
    for (const server of servers) await server.close();
  });
}
