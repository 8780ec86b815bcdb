/**
 * The webhooks of the controller: asked directly, and, where METALLB_TEST_KUBECONFIG points to a real API server, by it.
 * @module
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type LabProcess, run, start } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { parseAllYaml } from '../../src/adapters/files/yaml.ts';
import { METALLB, type Standalone, scratch, startStandalone } from './processes.ts';

interface WebhookConfiguration {
  readonly kind: string;
  readonly webhooks: { clientConfig: { service?: { path: string }; url?: string }; namespaceSelector?: object }[];
}

const REAL = process.env.METALLB_TEST_KUBECONFIG;

describe(`the webhooks on ${REAL ?? 'the embedded API'}`, () => {
  const directory = scratch();
  const namespace = `hook-${Math.random().toString(36).slice(2, 8)}`;
  let embedded: Standalone | undefined;
  let kubeconfig: string;
  let controller: LabProcess;
  let port: number;
  const attempt = (args: readonly string[], input?: string) =>
    run(['kubectl', '-n', namespace, ...args], {
      env: { KUBECONFIG: kubeconfig },
      ...(input !== undefined && { input }),
    });
  const kubectl = (args: readonly string[], input?: string) => {
    const { status, stdout, stderr } = attempt(args, input);
    if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const secret = (key: string) =>
    Buffer.from(kubectl(['get', 'secret', 'hook-cert', '-o', `jsonpath={.data.${key.replace('.', '\\.')}}`]), 'base64');
  let launches = 0;
  const launch = (env: Record<string, string> = {}) => {
    const log = join(directory.path, `controller-${++launches}.log`);
    const flags = ['--kubeconfig', kubeconfig, '--namespace', namespace, '--port', '0', '--health-probe-port', '0'];
    const webhook = ['--webhook-port', String(port), '--webhook-secret', 'hook-cert', '--cert-service-name', 'hook'];
    controller = start('controller', [METALLB, 'controller', ...flags, ...webhook], log, env);
    return until('the certificate', () => controller.log().includes('the webhook server has its certificate'));
  };
  /** Asks the way the API server does: over TLS that is checked against the authority in the Secret. */
  const ask = (path: string, body: object) =>
    new Promise<{ status: number; text: string }>((done, failed) => {
      const options = {
        host: '127.0.0.1',
        port,
        path,
        method: 'POST',
        ca: secret('ca.crt'),
        servername: `hook.${namespace}.svc`,
      };
      const sent = request(options, (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        answer.on('end', () => done({ status: answer.statusCode!, text }));
      });
      sent.on('error', failed);
      sent.end(JSON.stringify(body));
    });
  const review = async (path: string, operation: string, object: object) => {
    const request = { uid: 'u', operation, ...(operation === 'DELETE' ? { oldObject: object } : { object }) };
    const { text } = await ask(path, { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });
    return JSON.parse(text).response;
  };
  const pool = (name: string, addresses: string, where = namespace) => ({
    apiVersion: 'metallb.io/v1beta1',
    kind: 'IPAddressPool',
    metadata: { name, namespace: where },
    spec: { addresses: [addresses] },
  });

  beforeAll(async () => {
    if (REAL === undefined) embedded = await startStandalone(directory.path, ['--api-only']);
    kubeconfig = REAL ?? embedded!.kubeconfig;
    port = await freePort();
    kubectl(['create', 'namespace', namespace]);
    await launch();
    kubectl(['apply', '-f', '-'], JSON.stringify(pool('first', '198.19.0.0/28')));
  });
  afterAll(async () => {
    await controller.stop();
    kubectl(['delete', 'namespace', namespace, '--wait=false']);
    await embedded?.process.stop();
    directory.remove();
  });

  const PATH = '/validate-metallb-io-v1beta1-ipaddresspool';

  it('refuse what clashes with what is there, and allow what does not', async () => {
    expect(await review(PATH, 'CREATE', pool('second', '198.19.0.8/29'))).toEqual({
      uid: 'u',
      allowed: false,
      status: {
        code: 403,
        reason: 'Forbidden',
        message: `IPAddressPool ${namespace}/second: spec.addresses: "198.19.0.8/29": it overlaps 198.19.0.0/28 of IPAddressPool first; leave the shared addresses in one of the two pools`,
      },
    });
    expect(await review(PATH, 'CREATE', pool('second', '198.19.1.0/29'))).toEqual({ uid: 'u', allowed: true });
    expect(await review(PATH, 'UPDATE', pool('first', '198.19.0.0/29'))).toEqual({ uid: 'u', allowed: true });
  });

  it('refuse to create configuration where nobody reads it', async () => {
    expect((await review(PATH, 'CREATE', pool('lost', '198.19.1.0/29', 'default'))).status.message).toContain(
      `configuration is read from one namespace only; create it in the namespace ${namespace}`,
    );
  });

  it('keep a BFDProfile that a BGPPeer refers to', async () => {
    const profile = { apiVersion: 'metallb.io/v1beta1', kind: 'BFDProfile', metadata: { name: 'fast', namespace } };
    const peer = {
      apiVersion: 'metallb.io/v1beta2',
      kind: 'BGPPeer',
      metadata: { name: 'router', namespace },
      spec: { myASN: 64512, peerASN: 64513, peerAddress: '192.0.2.1', bfdProfile: 'fast' },
    };
    const path = '/validate-metallb-io-v1beta1-bfdprofile';
    expect((await review(path, 'DELETE', profile)).allowed).toBe(true);
    kubectl(['apply', '-f', '-'], JSON.stringify(peer));
    expect((await review(path, 'DELETE', profile)).status.message).toContain(
      'BGPPeer router refers to this BFDProfile',
    );
  });

  it('warn of a change of a BGPPeer that ends its sessions', async () => {
    const peer = (spec: object) => ({
      apiVersion: 'metallb.io/v1beta2',
      kind: 'BGPPeer',
      metadata: { name: 'leaf', namespace },
      spec: { myASN: 64512, peerASN: 64513, peerAddress: '192.0.2.2', ...spec },
    });
    kubectl(['apply', '-f', '-'], JSON.stringify(peer({})));
    const path = '/validate-metallb-io-v1beta2-bgppeer';
    expect(await review(path, 'UPDATE', peer({ connectTime: '9s' }))).toEqual({ uid: 'u', allowed: true });
    expect((await review(path, 'UPDATE', peer({ holdTime: '30s' }))).warnings).toEqual([
      'the BGP session of every node with leaf restarts because of holdTime; its routes are withdrawn meanwhile',
    ]);
  });

  it('know who speaks BGP on the nodes, and that nodes may come', async () => {
    const peer = (name: string, spec: object) => ({
      apiVersion: 'metallb.io/v1beta2',
      kind: 'BGPPeer',
      metadata: { name, namespace },
      spec: { myASN: 64512, peerASN: 64513, ...spec },
    });
    const path = '/validate-metallb-io-v1beta2-bgppeer';
    const rack = (value: string) => ({ nodeSelectors: [{ matchLabels: { [`${namespace}/rack`]: value } }] });
    const first = peer('first', { peerAddress: '192.0.2.7', ...rack('1') });
    kubectl(['apply', '-f', '-'], JSON.stringify(first));
    const other = (spec: object) => review(path, 'CREATE', peer('other', { peerAddress: '192.0.2.7', ...spec }));
    expect((await other(rack('2'))).allowed).toBe(true);
    expect((await other({ nodeSelectors: [{ matchLabels: { zone: 'a' } }] })).status.message).toContain(
      'BGPPeer first is the same router, and a node may come on which both run, for one of them selects no node today',
    );
    const foreign = { peerAddress: '192.0.2.8', myASN: 64999, routerID: '10.0.0.9', ...rack('1') };
    expect((await other(foreign)).allowed).toBe(true);
    await controller.stop();
    await launch({ METALLB_BGP_TYPE: 'frr-k8s' });
    const { message } = (await other(foreign)).status;
    expect(message).toContain(
      'BGPPeer first has no routerID, FRR has one router ID per node, and both run on one node',
    );
    expect(message).toContain('BGPPeer first has 64512, FRR has one AS number per VRF, and both run on one node');
    expect((await other({ ...foreign, ...rack('2') })).status.message).not.toContain('BGPPeer first');
    kubectl(['delete', 'bgppeer', 'first']);
    await controller.stop();
    await launch();
  });

  it('convert BGPPeers', async () => {
    const spec = { myASN: 64512, peerASN: 64513, peerAddress: '192.0.2.1' };
    const object = { apiVersion: 'metallb.io/v1beta1', kind: 'BGPPeer', metadata: { name: 'r' }, spec };
    const convert = async (desiredAPIVersion: string) => {
      const request = { uid: 'u', desiredAPIVersion, objects: [object] };
      const answer = await ask('/convert', {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'ConversionReview',
        request,
      });
      return JSON.parse(answer.text).response;
    };
    expect(await convert('metallb.io/v1beta2')).toEqual({
      uid: 'u',
      result: { status: 'Success' },
      convertedObjects: [
        { ...object, apiVersion: 'metallb.io/v1beta2', spec: { ...spec, holdTime: '0s', keepaliveTime: '0s' } },
      ],
    });
    expect((await convert('metallb.io/v9')).result).toEqual({
      status: 'Failure',
      message: 'there is no BGPPeer in version metallb.io/v9',
    });
  });

  it('answer nonsense with an error, not with a verdict', async () => {
    expect((await ask('/elsewhere', {})).status).toBe(404);
    expect(await ask(PATH, {})).toMatchObject({ status: 400 });
  });

  it('have a certificate that lasts, keep it over a restart, and renew it when it is broken', async () => {
    const before = secret('tls.crt').toString();
    const authority = new X509Certificate(secret('ca.crt'));
    const certificate = new X509Certificate(before);
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(Date.parse(certificate.validTo) - Date.now()).toBeGreaterThan(364 * 86_400_000);
    await controller.stop();
    await launch();
    expect(secret('tls.crt').toString()).toBe(before);
    await controller.stop();
    kubectl(['patch', 'secret', 'hook-cert', '-p', '{"data":{"tls.crt":"bm9uc2Vuc2U="}}']);
    await launch();
    expect(secret('tls.crt').toString()).not.toBe(before);
    expect(secret('ca.crt').toString().trim()).toBe(authority.toString().trim());
    expect((await review(PATH, 'CREATE', pool('x', '198.19.2.0/29'))).allowed).toBe(true);
    expect(controller.log()).not.toContain('PRIVATE KEY');
  });

  it('are asked by the API server, which trusts them', async ({ skip }) => {
    if (REAL === undefined) skip('the embedded API does by itself what webhooks do on a cluster');
    const manifest = readFileSync(resolve('config/native/webhooks.yaml'), 'utf8');
    const configuration = (parseAllYaml(manifest) as WebhookConfiguration[]).find(
      ({ kind }) => kind === 'ValidatingWebhookConfiguration',
    )!;
    // The Service leads nowhere here, and other suites have namespaces of their own.
    const url = (path: string) => `https://localhost:${port}${path}`;
    for (const webhook of configuration.webhooks) {
      webhook.clientConfig = { url: url(webhook.clientConfig.service!.path) };
      webhook.namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
    }
    kubectl(['apply', '-f', '-'], JSON.stringify(configuration));
    const conversion = { strategy: 'Webhook', webhook: { clientConfig: { service: null, url: url('/convert') } } };
    kubectl(['patch', 'crd', 'bgppeers.metallb.io', '--type', 'merge', '-p', JSON.stringify({ spec: { conversion } })]);
    await controller.stop();
    await launch();
    await until('the trust', () =>
      controller.log().includes('the API server now trusts us: metallb-webhook-configuration'),
    );
    await until('a refusal', () => {
      const { stderr } = attempt(['apply', '-f', '-'], JSON.stringify(pool('second', '198.19.0.8/29')));
      return stderr.includes('it overlaps 198.19.0.0/28 of IPAddressPool first');
    });
    kubectl(['apply', '-f', '-'], JSON.stringify(pool('third', '198.19.3.0/29')));
    const old = `apiVersion: metallb.io/v1beta1\nkind: BGPPeer\nmetadata: {name: old}\nspec: {myASN: 1, peerASN: 2, peerAddress: 192.0.2.9}\n`;
    await until('a conversion', () => attempt(['apply', '-f', '-'], old).status === 0, {
      patience: 30_000,
      interval: 500,
    });
    expect(JSON.parse(kubectl(['get', 'bgppeers', 'old', '-o', 'json']))).toMatchObject({
      apiVersion: 'metallb.io/v1beta2',
      spec: { holdTime: '0s', peerPort: 179 },
    });
    kubectl(['delete', 'validatingwebhookconfiguration', 'metallb-webhook-configuration']);
  });
});
