/**
 * METALLB_BGP_TYPE=frr-k8s with frr-k8s's own CRD: what the speaker writes is what that one takes. On the embedded API, and, where
 * METALLB_TEST_KUBECONFIG points to one, on a real API server.
 * @module
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LabProcess, run, start } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { METALLB, type Standalone, scratch, startStandalone } from './processes.ts';

const REAL = process.env.METALLB_TEST_KUBECONFIG;
const MODULE = 'github.com/metallb/frr-k8s@v0.0.25';
const NAMESPACE = 'frr-k8s-test';
/** Where frr-k8s runs in the second half. */
const ELSEWHERE = `${NAMESPACE}-elsewhere`;

/** The CRD of FRRConfigurations as its makers ship it; or, in words, why it cannot be had. */
function crdFile(): { readonly path: string } | string {
  const { status, stdout, stderr } = run(['go', 'mod', 'download', '-json', MODULE]);
  if (status !== 0) return `${MODULE} cannot be had: ${(stderr || stdout).trim().split('\n').at(-1)}`;
  const { Dir: directory } = JSON.parse(stdout) as { Dir: string };
  return { path: join(directory, 'config/crd/bases/frrk8s.metallb.io_frrconfigurations.yaml') };
}

const crd = crdFile();

const objects = `
apiVersion: v1
kind: Namespace
metadata: {name: ${NAMESPACE}}
---
apiVersion: v1
kind: Namespace
metadata: {name: ${ELSEWHERE}}
---
apiVersion: v1
kind: Node
metadata: {name: frr-1, labels: {frr-rack: "1"}}
---
apiVersion: v1
kind: Node
metadata: {name: frr-2, labels: {frr-rack: "2"}}
---
apiVersion: v1
kind: Secret
type: kubernetes.io/basic-auth
metadata: {name: router, namespace: ${NAMESPACE}}
stringData: {password: hush}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: p, namespace: ${NAMESPACE}}
spec: {addresses: [198.51.100.0/24]}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: b, namespace: ${NAMESPACE}}
spec: {aggregationLength: 24, localPref: 150, communities: ["64512:7"]}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: quick, namespace: ${NAMESPACE}}
spec: {receiveInterval: 50, transmitInterval: 50, echoMode: false}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: r, namespace: ${NAMESPACE}}
spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, holdTime: 90s, keepaliveTime: 30s, bfdProfile: quick, passwordSecret: {name: router}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${NAMESPACE}}
spec: {type: LoadBalancer, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: ${NAMESPACE}, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], nodeName: frr-1, conditions: {ready: true}}]
`;

describe.skipIf(typeof crd === 'string')(
  `the frr-k8s backend on ${REAL ?? 'the embedded API'}${typeof crd === 'string' ? ` (skipped: ${crd})` : ''}`,
  () => {
    const directory = scratch();
    let speaker: LabProcess | undefined;
    let embedded: Standalone | undefined;
    let kubeconfig: string;
    const kubectl = (args: readonly string[], input?: string) => {
      const result = run(['kubectl', ...args], {
        env: { KUBECONFIG: kubeconfig },
        ...(input !== undefined && { input }),
      });
      if (result.status !== 0) throw new Error(result.stderr);
      return result.stdout;
    };
    const specOf = (namespace = NAMESPACE) => {
      const get = ['kubectl', '-n', namespace, 'get', 'frrconfiguration', 'metallb-frr-1', '-o', 'json'];
      const { status, stdout } = run(get, { env: { KUBECONFIG: kubeconfig } });
      return status === 0
        ? (JSON.parse(stdout) as { spec: { bgp: { routers: object[] } }; metadata: { uid: string } })
        : undefined;
    };
    const launch = (...flags: string[]) => {
      const quiet = ['--port', '0', '--health-probe-port', '0'];
      const scope = ['--kubeconfig', kubeconfig, '--namespace', NAMESPACE, '--node-name', 'frr-1'];
      const env = { METALLB_BGP_TYPE: 'frr-k8s' };
      const command = [METALLB, 'speaker', ...scope, ...quiet, ...flags];
      speaker = start('speaker', command, join(directory.path, 'speaker.log'), env);
    };
    beforeAll(async () => {
      if (REAL === undefined) embedded = await startStandalone(directory.path, ['--api-only']);
      kubeconfig = REAL ?? embedded!.kubeconfig;
    });
    afterAll(async () => {
      await speaker?.stop();
      for (const what of [`namespace/${NAMESPACE}`, `namespace/${ELSEWHERE}`, 'node/frr-1', 'node/frr-2'])
        run(['kubectl', 'delete', what, '--wait=false'], { env: { KUBECONFIG: kubeconfig } });
      await embedded?.process.stop();
      directory.remove();
    });

    it('writes what the node’s FRR is to do, takes the CRD’s word for it, and keeps it over a restart', async () => {
      kubectl(['apply', '--server-side', '-f', (crd as { path: string }).path]);
      await until(
        'the CRD is served',
        () => run(['kubectl', 'get', 'frrconfigurations', '-A'], { env: { KUBECONFIG: kubeconfig } }).status === 0,
      );
      kubectl(['apply', '-f', '-'], objects);
      const ingress = { status: { loadBalancer: { ingress: [{ ip: '198.51.100.7' }] } } };
      kubectl([
        '-n',
        NAMESPACE,
        'patch',
        'service',
        'web',
        '--subresource=status',
        '--type=merge',
        '-p',
        JSON.stringify(ingress),
      ]);
      launch();
      const first = await until('the FRRConfiguration', specOf);
      expect(first.spec).toEqual({
        nodeSelector: { matchLabels: { 'kubernetes.io/hostname': 'frr-1' } },
        bgp: {
          bfdProfiles: [
            { name: 'quick', receiveInterval: 50, transmitInterval: 50, echoMode: false, passiveMode: false },
          ],
          routers: [
            {
              asn: 64512,
              prefixes: ['198.51.100.0/24'],
              neighbors: [
                expect.objectContaining({
                  address: '192.0.2.1',
                  asn: 64513,
                  port: 179,
                  holdTime: '90s',
                  keepaliveTime: '30s',
                  bfdProfile: 'quick',
                  passwordSecret: { name: 'router' },
                  toAdvertise: expect.objectContaining({
                    withCommunity: [{ community: '64512:7', prefixes: ['198.51.100.0/24'] }],
                    withLocalPref: [{ localPref: 150, prefixes: ['198.51.100.0/24'] }],
                  }),
                }),
              ],
            },
          ],
        },
      });
      await speaker!.stop();
      launch();
      kubectl(['-n', NAMESPACE, 'delete', 'service', 'web']);
      const after = await until('the route goes', () => {
        const now = specOf();
        return now !== undefined && !JSON.stringify(now.spec).includes('198.51.100') && now;
      });
      expect(after.metadata.uid).toBe(first.metadata.uid);
      expect(speaker!.log()).not.toContain('hush');
    });

    it('passes on a Secret that is where frr-k8s is alone, and minds no peer of other nodes', async () => {
      await speaker!.stop();
      kubectl(['-n', NAMESPACE, 'delete', 'secret', 'router']);
      const peer = (name: string, spec: string) =>
        `---\napiVersion: metallb.io/v1beta2\nkind: BGPPeer\nmetadata: {name: ${name}, namespace: ${NAMESPACE}}\nspec: {peerASN: 64513, ${spec}}\n`;
      const rack = (value: string) => `nodeSelectors: [{matchLabels: {frr-rack: "${value}"}}]`;
      const written = `passwordSecret: {name: router, namespace: ${ELSEWHERE}}`;
      kubectl(
        ['apply', '-f', '-'],
        [
          peer('r', `myASN: 64512, peerAddress: 192.0.2.1, ${written}, ${rack('1')}`),
          peer('other', `myASN: 64999, routerID: 10.0.0.9, peerAddress: 192.0.2.1, bfdProfile: none, ${rack('2')}`),
        ].join(''),
      );
      launch('--frrk8s-namespace', ELSEWHERE, '--frrk8s-secret-passthrough');
      const { spec } = await until('the FRRConfiguration elsewhere', () => specOf(ELSEWHERE));
      expect(spec.bgp.routers).toEqual([
        expect.objectContaining({
          asn: 64512,
          neighbors: [
            expect.objectContaining({
              address: '192.0.2.1',
              passwordSecret: { name: 'router', namespace: ELSEWHERE },
            }),
          ],
        }),
      ]);
      const state = () =>
        JSON.parse(kubectl(['-n', NAMESPACE, 'get', 'configurationstates', 'speaker-frr-1', '-o', 'json'])).status;
      await until('the configuration is valid', () => state().result === 'Valid');
      // The node comes to be one of those: then it matters here.
      kubectl(['label', 'node', 'frr-1', '--overwrite', 'frr-rack=2']);
      await until('the speaker tells of it', () => state().result === 'Invalid');
      expect(state().errorSummary).toContain(`BGPPeer ${NAMESPACE}/other: spec.bfdProfile: "none": there is no valid`);
    });
  },
);
