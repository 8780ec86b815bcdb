/**
 * The shadow mode beside our own controller: it looks after Services of a class that nobody else does, and reports what it would do for them.
 * @module
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type LabProcess, run, start } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { METALLB, type Standalone, scratch, startStandalone } from './processes.ts';

const directory = scratch();
let api: Standalone;
let shadow: LabProcess;

const CLASS = 'example.com/nobody';
const apply = (text: string) => {
  const { status, stderr } = run(['kubectl', 'apply', '-f', '-'], { env: { KUBECONFIG: api.kubeconfig }, input: text });
  if (status !== 0) throw new Error(stderr);
};
const service = (name: string) =>
  apply(
    `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: default}\nspec: {type: LoadBalancer, loadBalancerClass: ${CLASS}, ports: [{port: 80}]}\n`,
  );
const says = (text: string) => until(`the shadow says ${text}`, () => shadow.log().includes(text));

beforeAll(async () => {
  api = await startStandalone(directory.path, ['--api-only']);
  const flags = ['--kubeconfig', api.kubeconfig, '--namespace', 'default', '--lb-class', CLASS];
  const ports = ['--port', '0', '--health-probe-port', '0'];
  shadow = start('shadow', [METALLB, 'controller', '--shadow', ...flags, ...ports], join(directory.path, 'shadow.log'));
});
afterAll(async () => {
  await shadow.stop();
  await api.process.stop();
  directory.remove();
});

it('reports a difference that lasts, and that it is gone; and writes nothing', async () => {
  await says('0 of 0 Services unchanged');
  apply(
    'apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: p, namespace: default}\nspec: {addresses: [198.18.0.0/30]}\n',
  );
  service('a');
  await says('0 of 1 Services unchanged');
  await says('default/a: address: now no address, would be 198.18.0.0');
  const { stdout } = await api.kubectl(['get', 'service', 'a', '-o', 'jsonpath={.status.loadBalancer}']);
  expect(stdout).toBe('{}');
  await api.kubectl(['delete', 'service', 'a']);
  await says('resolved: default/a: address: now no address, would be 198.18.0.0');
});
