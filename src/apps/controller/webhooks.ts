/**
 * What the API server asks of us: admission of configuration objects, and BGPPeers in another version.
 * @module
 */
import { type HttpRequest, type HttpResponse, plain } from '../../adapters/http/server.ts';
import type { KubernetesClient } from '../../adapters/kubernetes/client.ts';
import { collectionPath } from '../../adapters/kubernetes/resources.ts';
import type { Log } from '../../adapters/log/log.ts';
import { type Admission, admit, admitDeletion } from '../../core/admission/admission.ts';
import { pathOf, WEBHOOKS } from '../../core/admission/webhooks.ts';
import { convertBgpPeer } from '../../core/api/bgp-peer-conversion.ts';
import { CONVERSION_PATH } from '../../core/api/kind.ts';
import type { KubernetesObject, Service } from '../../core/api/kubernetes.ts';
import { formatProblem } from '../../core/api/problem.ts';
import {
  type AdmissionReview,
  type ConversionReview,
  readAdmissionReview,
  readConversionReview,
} from '../../core/api/reviews.ts';
import { bounded, printable } from '../../core/api/text.ts';
import type { BgpEngine } from '../../core/config/config.ts';
import { elsewhere } from '../../core/config/namespace.ts';
import { CONFIG_RESOURCES, type ConfigObjects, type ConfigResource, kindOf } from '../../core/config/resolve.ts';

/** Characters of a refusal, which kubectl prints whole. */
const LONGEST_REFUSAL = 4096;

export interface WebhookOptions {
  readonly client: KubernetesClient;
  /** The only namespace in which configuration is read. */
  readonly namespace: string;
  /** Who speaks BGP on the nodes; default: native. */
  readonly bgpEngine?: BgpEngine;
  readonly log: Log;
  /** The Services that this process sees: what they have is only warned about, and may be late. */
  readonly services: () => readonly Service[];
}

/** Answers one request of the API server. Objects that are there already are read live: a cache may be late. */
export function webhookHandler(options: WebhookOptions): (request: HttpRequest) => Promise<HttpResponse> {
  const resources = new Map(WEBHOOKS.map(({ resource }) => [pathOf(resource), resource]));
  return async ({ path, method, body }) => {
    const resource = resources.get(path);
    if (resource === undefined && path !== CONVERSION_PATH) return plain(404, 'not found\n');
    if (method !== 'POST') return plain(405, 'send reviews by POST\n');
    let json: unknown;
    try {
      json = JSON.parse(body.toString());
    } catch {
      return plain(400, 'the body is not JSON\n');
    }
    const read = resource === undefined ? readConversionReview(json) : readAdmissionReview(json);
    if (!read.ok) return plain(400, `${read.fault}\n`);
    try {
      const { review } = read;
      return answer('objects' in review ? convert(review) : await reviewAdmission(options, resource!, review));
    } catch (error) {
      const { message } = error as Error;
      options.log.error({ event: 'webhookFailed', path, error: message }, message);
      // Not a refusal: the failurePolicy of the webhook decides about the write.
      return plain(500, `${message}\n`);
    }
  };
}

async function reviewAdmission(
  options: WebhookOptions,
  resource: ConfigResource,
  { apiVersion, uid, operation, subject }: AdmissionReview,
): Promise<object> {
  const { refusals, warnings } = await judge(options, resource, subject, operation);
  const allowed = refusals.length === 0;
  const message = bounded(printable(refusals.map(formatProblem).join('; ')), LONGEST_REFUSAL);
  if (!allowed) options.log.info({ event: 'writeRefused', resource, operation, error: message }, message);
  return {
    apiVersion,
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed,
      ...(!allowed && { status: { code: 403, reason: 'Forbidden', message } }),
      ...(warnings.length > 0 && { warnings }),
    },
  };
}

async function judge(
  { client, namespace, bgpEngine, services }: WebhookOptions,
  resource: ConfigResource,
  object: KubernetesObject,
  operation: AdmissionReview['operation'],
): Promise<Admission> {
  if (operation === 'CREATE' && object.metadata.namespace !== namespace) {
    return { refusals: [elsewhere(kindOf(resource), object, namespace)], warnings: [] };
  }
  const stored = { ...(await readConfiguration(client, namespace)), services: services() };
  return operation === 'DELETE' ? admitDeletion(resource, object, stored) : admit(resource, object, stored, bgpEngine);
}

async function readConfiguration(client: KubernetesClient, namespace: string): Promise<ConfigObjects> {
  const list = async (resource: ConfigResource | 'nodes') => {
    const path = collectionPath(resource, resource === 'nodes' ? undefined : namespace);
    return [resource, await client.list(path)] as const;
  };
  return Object.fromEntries(await Promise.all([...CONFIG_RESOURCES, 'nodes' as const].map(list)));
}

function convert({ apiVersion, uid, desiredAPIVersion, objects }: ConversionReview): object {
  const converted = objects.map((object) => convertBgpPeer(object, desiredAPIVersion));
  const result = converted.includes(undefined)
    ? { status: 'Failure', message: `there is no BGPPeer in version ${desiredAPIVersion}` }
    : { status: 'Success' };
  const convertedObjects = result.status === 'Success' ? converted : [];
  return { apiVersion, kind: 'ConversionReview', response: { uid, result, convertedObjects } };
}

function answer(value: object): HttpResponse {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}
