/**
 * What in a cluster prevents an installation, judged by facts from its API server. Each finding says how to fix it.
 * @module
 */
import type { Finding } from '../doctor/checks.ts';

export interface ClusterFacts {
  /** Names of Pods of k3s' ServiceLB (Klipper). */
  readonly serviceLb: readonly string[];
  /** The text `config.conf` of the ConfigMap kube-system/kube-proxy; undefined where there is none (k3s, microk8s). */
  readonly kubeProxy: string | undefined;
  readonly deployments: readonly DeploymentFacts[];
  readonly daemonSets: readonly DeploymentFacts[];
}

export interface DeploymentFacts {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly images: readonly string[];
  /** Names of environment variables that are `true` in one of its containers. */
  readonly switches: readonly string[];
}

interface Other {
  readonly name: string;
  readonly image: RegExp;
  /** It conflicts only if this environment variable is `true`. */
  readonly when?: string;
  readonly cure: string;
}

/** Other programs that write `status.loadBalancer` of Services, recognized by their images. */
const OTHERS: readonly Other[] = [
  {
    name: 'MetalLB',
    image: /(^|\/)metallb[/-](controller|speaker)[:@]/,
    cure: 'see what would change with `metallb migrate`, which also says in which order to proceed',
  },
  {
    // Used only for the control plane's address, it does no harm.
    name: 'kube-vip',
    image: /kube-vip[:@]/,
    when: 'svc_enable',
    cure: 'turn off its services mode (svc_enable), and bring its pools over with `metallb migrate --from kube-vip`',
  },
  {
    name: 'kube-vip-cloud-provider',
    image: /kube-vip-cloud-provider[:@]/,
    cure: 'uninstall it, and bring its pools over with `metallb migrate --from kube-vip`',
  },
  {
    name: 'PureLB',
    image: /purelb/,
    cure: 'uninstall it, and bring its ServiceGroups over with `metallb migrate --from purelb`',
  },
];

/** Helm has installed this controller, MetalLB's or ours. */
export function isByHelm({ labels }: DeploymentFacts): boolean {
  return labels['app.kubernetes.io/managed-by'] === 'Helm' && labels['app.kubernetes.io/name'] === 'metallb';
}

/** Everything that prevents an installation; empty if nothing does. */
export function examineCluster({ serviceLb, kubeProxy, deployments, daemonSets }: ClusterFacts): Finding[] {
  const findings: Finding[] = [];
  const helm = deployments.find(isByHelm);
  if (helm !== undefined)
    findings.push({
      check: 'Helm',
      verdict: 'problem',
      detail: `Helm has installed it already, as ${helm.namespace}/${helm.name}`,
      cure: 'change it with `helm upgrade`, or remove it with `helm uninstall` first',
    });
  for (const { name, image, when, cure } of OTHERS) {
    const isIt = ({ images, switches }: DeploymentFacts) =>
      images.some((each) => image.test(each)) && (when === undefined || switches.includes(when));
    const found = [...deployments, ...daemonSets].find((each) => each !== helm && isIt(each));
    if (found !== undefined)
      findings.push({
        check: 'other load balancers',
        verdict: 'problem',
        detail: `${name} runs as ${found.namespace}/${found.name}: two of them fight over the status of every Service`,
        cure,
      });
  }
  if (serviceLb.length > 0)
    findings.push({
      check: 'other load balancers',
      verdict: 'problem',
      detail: `k3s' ServiceLB runs (${serviceLb.slice(0, 3).join(', ')}): it fights over the status of every Service`,
      cure: 'start k3s with --disable servicelb (or `disable: [servicelb]` in /etc/rancher/k3s/config.yaml) and restart it',
    });
  if (
    kubeProxy !== undefined &&
    /^\s*mode:\s*"?ipvs"?\s*$/m.test(kubeProxy) &&
    !/^\s*strictARP:\s*true\s*$/m.test(kubeProxy)
  )
    findings.push({
      check: 'kube-proxy',
      verdict: 'problem',
      detail: 'in IPVS mode without strictARP: the kernel of every node answers ARP for every Service address',
      cure: STRICT_ARP,
    });
  return findings;
}

const STRICT_ARP =
  "kubectl -n kube-system get configmap kube-proxy -o yaml | sed 's/strictARP: false/strictARP: true/' | kubectl apply -f - ; then kubectl -n kube-system rollout restart daemonset kube-proxy";
