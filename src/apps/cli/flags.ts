/**
 * Upstream's flags and environment names (docs/behaviour/flags.md), as data.
 * @module
 */

import { WEBHOOK_SECRET } from '../../core/admission/webhooks.ts';
import { WEBHOOK_SERVICE } from '../../core/api/kind.ts';
import { CliError } from './errors.ts';

export interface Flag {
  readonly name: string;
  /** Environment variable that gives the default. */
  readonly env?: string;
  readonly default?: string;
  /** A switch takes no value. */
  readonly isSwitch?: boolean;
  readonly help: string;
  /** The feature is not built yet: the flag is accepted and the log says this. */
  readonly later?: string;
}

const TLS_TUNING = 'the TLS library chooses suites and curves';
const SPEAKER_TUNING = 'our speakers monitor each other in their own way';

const COMMON: readonly Flag[] = [
  {
    name: 'kubeconfig',
    env: 'KUBECONFIG',
    help: 'kubeconfig file; without it $KUBECONFIG, ~/.kube/config, or the pod’s service account',
  },
  {
    name: 'namespace',
    env: 'METALLB_NAMESPACE',
    help: 'namespace of the configuration (default: the pod’s own, else metallb-system)',
  },
  { name: 'port', default: '9120', help: 'port of the metrics (HTTPS, bearer token), 0 = off' },
  { name: 'health-probe-port', default: '17472', help: 'port of /healthz and /readyz, 0 = off' },
  { name: 'log-level', default: 'info', help: 'all, debug, info, warn, error or none' },
  { name: 'lb-class', default: '', help: 'handle only Services of this loadBalancerClass' },
  {
    name: 'pod-name',
    env: 'METALLB_POD_NAME',
    help: 'name of this pod',
  },
  { name: 'pprof-bind-address', help: 'address for profiling', later: 'use node --inspect, or --cpu-prof' },
  {
    name: 'tls-min-version',
    help: 'lowest TLS version of metrics and webhooks: VersionTLS12 or VersionTLS13 (default)',
  },
  { name: 'tls-cipher-suites', help: 'TLS 1.2 cipher suites', later: TLS_TUNING },
  { name: 'tls-curve-preferences', help: 'TLS curves', later: TLS_TUNING },
  { name: 'metrics-cert-dir', help: 'directory with tls.crt and tls.key for the metrics port (default: self-signed)' },
  {
    name: 'shadow',
    isSwitch: true,
    help: 'decide, but write and send nothing; report where the load balancer that runs now decides differently',
  },
  {
    name: 'record',
    help: 'write every input of the state machine to this file, for replay; a speaker writes those of BGP, layer 2, liveness and each BFD session to the same name with .bgp, .layer2, .liveness and .bfd.PEER',
  },
];

const POOL_CHANGE_GRACE = { name: 'pool-change-grace', default: '5' };

export const CONTROLLER_FLAGS: readonly Flag[] = [
  ...COMMON,
  {
    ...POOL_CHANGE_GRACE,
    help: 'seconds that a Service keeps an address that no pool allows any more, in case another change of the pools follows that does; 0 = it loses it at once. The same on controller and speakers',
  },
  {
    name: 'keep-address-until-served',
    isSwitch: true,
    help: 'a Service that asks for another address or pool keeps the address that it has until it can have what it asks for',
  },
  { name: 'leader-elect', isSwitch: true, help: 'lead only while holding a Lease; others stand by, warm' },
  {
    name: 'config-map',
    help: 'ConfigMap in the format of MetalLB before 0.13 to follow: its pools, peers and advertisements become resources',
  },
  {
    name: 'ml-secret-name',
    env: 'METALLB_ML_SECRET_NAME',
    help: 'Secret to create for the speakers',
  },
  {
    name: 'deployment',
    env: 'METALLB_DEPLOYMENT',
    help: 'Deployment of this controller, which owns that Secret',
  },
  {
    name: 'webhook-mode',
    default: 'enabled',
    help: 'enabled, disabled, or onlywebhook (serve the webhooks and nothing else)',
  },
  {
    name: 'share-across-namespaces',
    default: 'true',
    help: 'false: Services of different namespaces share no address, whatever their sharing keys',
  },
  { name: 'webhook-port', default: '9443', help: 'port of the webhooks' },
  { name: 'webhook-secret', default: WEBHOOK_SECRET, help: 'Secret with the certificates of the webhooks' },
  { name: 'cert-service-name', default: WEBHOOK_SERVICE, help: 'Service of the webhooks, for their certificate' },
  {
    name: 'cert-dir',
    help: 'with --disable-cert-rotation: directory with tls.crt and tls.key (default: k8s-webhook-server/serving-certs in the system’s temporary directory)',
  },
  {
    name: 'disable-cert-rotation',
    isSwitch: true,
    help: 'take the certificate of the webhooks from --cert-dir, and leave Secret and CA bundles alone',
  },
  { name: 'webhook-http2', isSwitch: true, help: 'HTTP/2 for the webhooks', later: 'they are served by HTTP/1.1' },
];

export const SPEAKER_FLAGS: readonly Flag[] = [
  ...COMMON,
  {
    ...POOL_CHANGE_GRACE,
    help: 'seconds that an address is still announced after its pool has gone; 0 = no longer. The same on controller and speakers',
  },
  {
    name: 'node-name',
    env: 'METALLB_NODE_NAME',
    help: 'name of the Kubernetes node that this speaker runs on (required)',
  },
  { name: 'host', env: 'METALLB_HOST', help: 'accepted, unused (as upstream)' },
  {
    name: 'ml-bindaddr',
    env: 'METALLB_ML_BIND_ADDR',
    help: 'address for liveness messages between speakers, IPv4 or IPv6; empty turns them off',
  },
  { name: 'ml-bindport', env: 'METALLB_ML_BIND_PORT', default: '7946', help: 'UDP port of the liveness messages' },
  {
    name: 'ml-labels',
    env: 'METALLB_ML_LABELS',
    help: 'label selector of the speaker pods; empty turns liveness off',
  },
  {
    name: 'ml-secret-key-path',
    env: 'METALLB_ML_SECRET_KEY_PATH',
    help: 'directory with the file `secretkey` that encrypts liveness messages; others whose names begin so open them too; followed',
  },
  { name: 'ml-wan-config', isSwitch: true, help: 'slower timers', later: SPEAKER_TUNING },
  { name: 'liveness-interval', default: '100', help: 'milliseconds between pings; three missed ones mean dead' },
  {
    name: 'partition-mode',
    default: 'available',
    help: 'available: each side of a network partition announces; fenced: only the larger one, a second later. The same on every speaker',
  },
  {
    name: 'l2-election',
    default: 'hash',
    help: 'hash: as upstream, each address by itself; balanced: no node owns more than a quarter above the average. The same on every speaker',
  },
  {
    name: 'l2-no-preempt',
    isSwitch: true,
    help: 'a node that returns leaves its addresses where they are. The same on every speaker',
  },
  { name: 'answer-ping', isSwitch: true, help: 'answer echo requests (ping) to the addresses of this node' },
  {
    name: 'probe-before-use',
    isSwitch: true,
    help: 'ask the network for an address, and wait 450 ms for an answer, before it is announced (RFC 5227)',
  },
  {
    name: 'l2-refresh-interval',
    default: '60',
    help: 'seconds between gratuitous packets for each address, so that no switch forgets it; 0 = only on a takeover',
  },
  { name: 'ignore-exclude-lb', isSwitch: true, help: 'announce also from nodes that are excluded from load balancers' },
  {
    name: 'drain-on-cordon',
    isSwitch: true,
    help: 'a cordoned node hands its addresses over; the same flag on every speaker. The annotation metallb.io/drain on a Node does the same without it',
  },
  {
    name: 'drain-wait',
    default: '10',
    help: 'seconds between asking routers to use other nodes and withdrawing what other nodes announce too, on a drained node',
  },
  {
    name: 'bgp-debounce-timeout',
    env: 'METALLB_BGP_DEBOUNCE_TIMEOUT',
    help: 'delay of BGP changes',
    later: 'routes are sent at once',
  },
  {
    name: 'frrk8s-namespace',
    env: 'FRRK8S_NAMESPACE',
    help: 'with METALLB_BGP_TYPE=frr-k8s: namespace of the FRRConfigurations (default: that of MetalLB)',
  },
  {
    name: 'frrk8s-secret-passthrough',
    isSwitch: true,
    help: 'pass Secrets to frr-k8s by name; they must then be in its namespace',
  },
  {
    name: 'bgp-listen-port',
    default: '0',
    help: 'routers may connect to this port, usually 179; 0 = off. Ports below 1024 need the capability NET_BIND_SERVICE',
  },
  { name: 'bmp-station', help: 'HOST:PORT of a BMP station (RFC 7854) that is told what routers are told' },
];

/** Turns Go's `-flag=value` into `--flag=value`; single letters stay what they are. */
export function fromGoStyle(args: readonly string[]): string[] {
  return args.map((arg) => (/^-[a-z][a-z0-9-]+(=|$)/.test(arg) ? `-${arg}` : arg));
}

/** A flag or an option that is true or false. Throws CliError for anything else. */
export function isTrue(name: string, value: unknown): boolean {
  if (value === 'true' || value === true) return true;
  if (value === 'false') return false;
  throw new CliError(`--${name}: ${JSON.stringify(value)} is neither true nor false`, 2);
}
