import { describe, expect, it } from 'vitest';
import type { KubernetesClient } from '../../adapters/kubernetes/client.ts';
import { createLog } from '../../adapters/log/log.ts';
import { pathOf } from '../../core/admission/webhooks.ts';
import { CONVERSION_PATH } from '../../core/api/kind.ts';
import { webhookHandler } from './webhooks.ts';

const POOLS = pathOf('ipaddresspools');
const pool = (namespace: string, address: string) => ({
  apiVersion: 'metallb.io/v1beta1',
  kind: 'IPAddressPool',
  metadata: { name: 'a', namespace },
  spec: { addresses: [address] },
});
const admission = (request: object) => ({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });
const conversion = (request?: object) => ({ apiVersion: 'apiextensions.k8s.io/v1', kind: 'ConversionReview', request });

/** Sends one request to the webhooks of a controller that reads the namespace `ours`. */
function send(path: string, body: unknown, method = 'POST', list = async (): Promise<object[]> => []) {
  const client = { list } as unknown as KubernetesClient;
  const handle = webhookHandler({ client, namespace: 'ours', log: createLog('none', {}), services: () => [] });
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return handle({ path, method, headers: {}, body: Buffer.from(text) } as Parameters<typeof handle>[0]);
}

async function responseTo(path: string, body: unknown): Promise<unknown> {
  const { body: text } = await send(path, body);
  return JSON.parse(String(text)).response;
}

describe('requests that are no reviews', () => {
  it.each([
    ['an unknown path is not found', '/other', {}, 'POST', 404],
    ['only POST is allowed', POOLS, {}, 'GET', 405],
    ['a body must be JSON', POOLS, '{', 'POST', 400],
  ])('%s', async (_, path, body, method, status) => {
    expect((await send(path, body, method)).status).toBe(status);
  });
});

describe('malformed reviews are answered with 400 in words', () => {
  const valid = pool('ours', '192.0.2.0/24');
  const { metadata: _unused, ...unnamed } = valid;
  const created = { uid: '1', operation: 'CREATE', object: valid };
  it.each<[unknown, string]>([
    [null, 'expected object, received null'],
    [[], 'expected object, received array'],
    ['"x"', 'expected object, received string'],
    [{}, 'apiVersion: Invalid input: expected string'],
    [admission([]), 'request: Invalid input'],
    [admission({ ...created, uid: undefined }), 'request.uid: Invalid input: expected string'],
    [admission({ ...created, operation: 'CONNECT' }), 'request.operation: '],
    [admission({ ...created, object: 'x' }), 'request.object: Invalid input: expected object, received string'],
    [admission({ ...created, object: null }), 'request.object: Invalid input: expected object, received null'],
    [admission({ ...created, object: unnamed }), 'request.object.metadata: '],
    [admission({ ...created, object: { ...valid, metadata: { name: 7 } } }), 'request.object.metadata.name: '],
    [admission({ ...created, object: { ...valid, metadata: { name: 'a', labels: { a: 1 } } } }), 'metadata.labels.a: '],
    [admission({ uid: '1', operation: 'DELETE', object: valid }), 'request.oldObject: '],
  ])('%j', async (body, text) => {
    const answer = await send(POOLS, body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatch(/^the body is not an AdmissionReview of version v1: /);
    expect(answer.body).toContain(text);
  });

  it.each<[unknown, string]>([
    [null, 'expected object, received null'],
    [conversion(), 'request: '],
    [conversion({ desiredAPIVersion: 'v', objects: [] }), 'request.uid: '],
    [conversion({ uid: '1', desiredAPIVersion: 'v', objects: 'x' }), 'request.objects: '],
    [conversion({ uid: '1', desiredAPIVersion: 'v', objects: [null] }), 'request.objects[0]: '],
  ])('conversion of %j', async (body, text) => {
    const answer = await send(CONVERSION_PATH, body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatch(/^the body is not a ConversionReview of version v1: /);
    expect(answer.body).toContain(text);
  });
});

describe('admission', () => {
  it('allows a valid pool', async () => {
    const request = { uid: '1', operation: 'CREATE', object: pool('ours', '192.0.2.0/24') };
    expect(await responseTo(POOLS, admission(request))).toEqual({ uid: '1', allowed: true });
  });

  it.each([
    [
      'a pool outside the namespace of the configuration',
      pool('theirs', '192.0.2.0/24'),
      'create it in the namespace ours',
    ],
    ['a pool with a bad address', pool('ours', '192.0.2.300'), '192.0.2.300'],
  ])('refuses %s, and says why', async (_, object, text) => {
    expect(await responseTo(POOLS, admission({ uid: '1', operation: 'CREATE', object }))).toMatchObject({
      allowed: false,
      status: { code: 403, reason: 'Forbidden', message: expect.stringContaining(text) },
    });
  });

  it('judges the old object when one is deleted', async () => {
    const request = { uid: '1', operation: 'DELETE', object: null, oldObject: pool('ours', '192.0.2.0/24') };
    expect(await responseTo(POOLS, admission(request))).toMatchObject({ allowed: true });
  });

  it('answers 500 when the stored objects cannot be read, so that the failurePolicy decides', async () => {
    const request = { uid: '1', operation: 'CREATE', object: pool('ours', '192.0.2.0/24') };
    const answer = await send(POOLS, admission(request), 'POST', () => Promise.reject(new Error('no answer')));
    expect(answer).toMatchObject({ status: 500, body: 'no answer\n' });
  });
});

describe('conversion', () => {
  const peer = { apiVersion: 'metallb.io/v1beta2', kind: 'BGPPeer', metadata: { name: 'p' }, spec: {} };

  it('converts each object', async () => {
    const request = { uid: '1', desiredAPIVersion: 'metallb.io/v1beta1', objects: [peer] };
    expect(await responseTo(CONVERSION_PATH, conversion(request))).toMatchObject({
      uid: '1',
      result: { status: 'Success' },
      convertedObjects: [{ apiVersion: 'metallb.io/v1beta1', metadata: { name: 'p' } }],
    });
  });

  it.each([null, 'x', { nodeSelectors: 'x' }, { nodeSelectors: [null, { matchLabels: null }] }])(
    'leaves a spec that no schema allows to the API server: %j',
    async (spec) => {
      for (const [apiVersion, desiredAPIVersion] of [
        ['metallb.io/v1beta1', 'metallb.io/v1beta2'],
        ['metallb.io/v1beta2', 'metallb.io/v1beta1'],
      ]) {
        const request = { uid: '1', desiredAPIVersion, objects: [{ ...peer, apiVersion, spec }] };
        expect(await responseTo(CONVERSION_PATH, conversion(request))).toMatchObject({ result: { status: 'Success' } });
      }
    },
  );

  it('fails as a whole for a version that does not exist', async () => {
    const request = { uid: '1', desiredAPIVersion: 'metallb.io/v9', objects: [peer] };
    expect(await responseTo(CONVERSION_PATH, conversion(request))).toEqual({
      uid: '1',
      result: { status: 'Failure', message: 'there is no BGPPeer in version metallb.io/v9' },
      convertedObjects: [],
    });
  });
});
