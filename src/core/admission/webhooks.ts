/**
 * The validating webhooks (docs/behaviour/webhooks.md#admission): which operations on which resources they see, their URL paths, and
 * the ValidatingWebhookConfiguration that registers them.
 * @module
 */
import { GROUP, WEBHOOK_SERVICE } from '../api/kind.ts';
import { KINDS } from '../api/kinds.ts';
import { type ConfigResource, kindOf } from '../config/resolve.ts';

export interface Webhook {
  readonly resource: ConfigResource;
  /** First label of its name in the ValidatingWebhookConfiguration. */
  readonly name: string;
  readonly operations: readonly ('CREATE' | 'UPDATE' | 'DELETE')[];
}

/** BFDProfiles are also checked on UPDATE, unlike upstream. */
export const WEBHOOKS: readonly Webhook[] = [
  { resource: 'bgppeers', name: 'bgppeersvalidationwebhook', operations: ['CREATE', 'UPDATE'] },
  { resource: 'bfdprofiles', name: 'bfdprofilevalidationwebhook', operations: ['CREATE', 'UPDATE', 'DELETE'] },
  { resource: 'bgpadvertisements', name: 'bgpadvertisementvalidationwebhook', operations: ['CREATE', 'UPDATE'] },
  { resource: 'communities', name: 'communityvalidationwebhook', operations: ['CREATE', 'UPDATE'] },
  { resource: 'ipaddresspools', name: 'ipaddresspoolvalidationwebhook', operations: ['CREATE', 'UPDATE'] },
  { resource: 'l2advertisements', name: 'l2advertisementvalidationwebhook', operations: ['CREATE', 'UPDATE'] },
];

/** The names in upstream's manifests: users' own tooling may rely on them. */
export const WEBHOOK_CONFIGURATION = 'metallb-webhook-configuration';
export const WEBHOOK_SECRET = 'metallb-webhook-cert';

/** The URL path to which the API server sends the AdmissionReviews of the resource. */
export function pathOf(resource: ConfigResource): string {
  return `/validate-metallb-io-${versionOf(resource)}-${kindOf(resource).toLowerCase()}`;
}

/** The ValidatingWebhookConfiguration, without the CA bundle, which the controller fills in at run time. */
export function webhookConfiguration(namespace: string): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: WEBHOOK_CONFIGURATION, labels: { app: 'metallb' } },
    webhooks: WEBHOOKS.map(({ resource, name, operations }) => ({
      name: `${name}.${GROUP}`,
      admissionReviewVersions: ['v1'],
      clientConfig: { service: { name: WEBHOOK_SERVICE, namespace, path: pathOf(resource) } },
      failurePolicy: 'Fail',
      sideEffects: 'None',
      rules: [{ apiGroups: [GROUP], apiVersions: [versionOf(resource)], operations, resources: [resource] }],
    })),
  };
}

function versionOf(resource: ConfigResource): string {
  return KINDS.find(({ plural }) => plural === resource)!.versions[0].name;
}
