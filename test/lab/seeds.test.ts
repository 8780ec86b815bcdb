/**
 * The users' documents, command for command: on a LAN with a real kube-apiserver, real Helm with a repository of charts, kubectl, the microk8s
 * addon; controller and speakers run as the applied Deployment and DaemonSet say, with the tokens of their ServiceAccounts, webhooks on.
 * docs/seeds.md tells what came of each; METALLB_SEEDS_LOG names a file for the commands and their outputs.
 */
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ChartPods } from '../../lab/kubernetes/chart-pods.ts';
import { Cluster, hasRealApi, MANIFESTS } from '../../lab/kubernetes/cluster.ts';
import { findTool, HELM } from '../../lab/kubernetes/go-tool.ts';
import { askByArp } from '../../lab/net/lan.ts';
import { prepareInside } from '../../lab/net/sandbox.ts';
import { must, runAsync } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';

const obstacle = hasRealApi ? undefined : 'it needs a real API server: npm run test:cluster';
const ROOT = resolve(import.meta.dirname, '../..');
const CRDS = join(ROOT, 'config/crd/bases');

describe.skipIf(obstacle !== undefined)(
  `the users’ documents${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'metallb-seeds-'));
    const bin = join(directory, 'bin');
    const work = join(directory, 'work');
    let cluster: Cluster;
    let repository: Server;
    let url: string;
    let pods: ChartPods | undefined;
    let document = 0;

    /** A line as the document has it, in a shell of the user's. */
    async function shell(line: string): Promise<string> {
      const env = {
        KUBECONFIG: cluster.kubeconfig,
        PATH: `${bin}:${process.env.PATH}`,
        SNAP: join(directory, 'snap'),
        HELM_CACHE_HOME: join(directory, 'helm/cache'),
        HELM_CONFIG_HOME: join(directory, 'helm/config'),
        HELM_DATA_HOME: join(directory, 'helm/data'),
      };
      const { status, stdout, stderr } = await runAsync(['sh', '-c', `cd ${work} && ${line}`], {
        env,
      });
      const log = process.env.METALLB_SEEDS_LOG;
      if (log !== undefined) appendFileSync(log, `$ ${line}\n${stdout}${stderr}\n`);
      if (status !== 0) throw new Error(`${line} failed (${status}): ${stderr || stdout}`);
      return stdout;
    }
    const runPods = async (namespace: string) => {
      pods = new ChartPods(cluster, namespace, join(directory, `pods-${document}`));
      await pods.start();
    };
    const external = (namespace: string, name: string) =>
      until(`the address of ${namespace}/${name}`, () => cluster.addressOf(namespace, name));
    const loadBalancer = (namespace: string, name: string) =>
      cluster.apply(
        `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {type: LoadBalancer, selector: {app: ${name}}, ports: [{name: web, port: 80}, {name: websecure, port: 443}]}`,
      );
    const manifest = (file: string, as = file) => cpSync(join(MANIFESTS, file), join(work, as));

    beforeAll(async () => {
      prepareInside();
      for (const path of [bin, work, join(directory, 'snap'), join(directory, 'repository')]) mkdirSync(path);
      const helm = findTool(HELM);
      if (typeof helm === 'string') throw new Error(helm);
      symlinkSync(helm.path, join(bin, 'helm'));
      const script = (path: string, text: string) => {
        writeFileSync(path, `#!/bin/sh\n${text}\n`);
        chmodSync(path, 0o755);
      };
      script(join(bin, 'sudo'), 'exec "$@"');
      // As microk8s does: `enable NAME:ARGUMENT` runs the addon's script, with kubectl by its wrapper.
      script(join(directory, 'snap/microk8s-kubectl.wrapper'), 'exec kubectl "$@"');
      script(
        join(bin, 'microk8s'),
        `name=\${2%%:*}; argument=\${2#"$name"}; exec ${ROOT}/packaging/microk8s/addons/$name/$1 \${argument#:}`,
      );
      const charts = join(directory, 'repository');
      repository = createServer(({ url: path = '' }, answer) => {
        try {
          answer.end(readFileSync(join(charts, path)));
        } catch {
          answer.writeHead(404).end();
        }
      });
      await new Promise<void>((done) => repository.listen(0, '127.0.0.1', done));
      url = `http://127.0.0.1:${(repository.address() as { port: number }).port}`;
      must([helm.path, 'package', join(ROOT, 'charts/metallb'), '--destination', charts]);
      must([helm.path, 'repo', 'index', charts, '--url', url]);
      cluster = new Cluster({ directory, nodes: 3, bare: true });
      await cluster.startApi();
      cluster.startStandIn();
    });
    beforeEach(() => {
      document++;
      // As on a cluster that has never seen MetalLB.
      cluster.kubectl(['delete', '-f', CRDS, '--ignore-not-found']);
      cluster.kubectl(['create', 'namespace', 'metallb-system']);
    });
    afterEach(async () => {
      await pods?.stop();
      pods = undefined;
      cluster.kubectl(['delete', 'validatingwebhookconfigurations', '--all']);
      for (const label of ['app=metallb', 'app.kubernetes.io/name=metallb'])
        cluster.kubectl(['delete', 'clusterroles,clusterrolebindings', '-l', label]);
      cluster.kubectl([
        'delete',
        'services,deployments,daemonsets,configmaps,secrets,roles,rolebindings,serviceaccounts',
        '--all',
        '-n',
        'metallb-system',
      ]);
      cluster.kubectl(['delete', 'services', '--all', '-n', 'default']);
    });
    afterAll(async () => {
      await cluster.stop();
      repository.close();
      rmSync(directory, { recursive: true, force: true });
    });

    it('001, a Pi cluster with k3s: Helm in the namespace metallb, pool and advertisement, traefik gets its address', async () => {
      loadBalancer('kube-system', 'traefik');
      expect(await shell('kubectl get services --all-namespaces')).toMatch(/traefik +LoadBalancer +\S+ +<pending>/);
      await shell(`helm repo add metallb ${url}`);
      await shell('helm repo update');
      await shell('kubectl create namespace metallb');
      await shell('helm install metallb metallb/metallb --namespace metallb');
      await runPods('metallb');
      const running = await shell('kubectl -n metallb get pod');
      expect(running).toMatch(/metallb-controller-\S+ +1\/1 +Running/);
      expect(running.match(/metallb-speaker-\S+ +1\/1 +Running/g)).toHaveLength(3);
      manifest('picluster-metallb-config.yaml', 'metallb-config.yaml');
      await shell('kubectl apply -f metallb-config.yaml');
      expect(await external('kube-system', 'traefik')).toBe('10.0.0.100');
      expect(await shell('kubectl get services --all-namespaces')).toMatch(/traefik +LoadBalancer +\S+ +10\.0\.0\.100/);
      await shell('helm uninstall metallb --namespace metallb');
      cluster.kubectl(['-n', 'kube-system', 'delete', 'service', 'traefik']);
    });

    it('004, a cluster behind a router: Helm makes its namespace, a pool of one address, ingress-nginx has it, the next one waits', async () => {
      await shell(`helm repo add metallb ${url} --force-update`);
      await shell('helm install metallb metallb/metallb --create-namespace --namespace metallb');
      await runPods('metallb');
      expect((await shell('kubectl get pods -n metallb')).match(/1\/1 +Running/g)).toHaveLength(4);
      manifest('main-pool.yaml');
      manifest('l2-main-pool.yaml');
      await shell('kubectl apply -f main-pool.yaml -f l2-main-pool.yaml');
      cluster.kubectl(['create', 'namespace', 'ingress-nginx']);
      manifest('ingress-nginx-service.yaml');
      await shell('kubectl apply -f ingress-nginx-service.yaml');
      expect(await external('ingress-nginx', 'ingress-nginx-controller')).toBe('192.168.111.11');
      cluster.apply(
        'apiVersion: v1\nkind: Service\nmetadata: {name: ingress-nginx-controller-admission, namespace: ingress-nginx}\nspec: {ports: [{port: 443}]}',
      );
      const services = await shell('kubectl get service -n ingress-nginx');
      expect(services).toMatch(
        /ingress-nginx-controller +LoadBalancer +10\.102\.87\.119 +192\.168\.111\.11 +80:30384\/TCP,443:32623\/TCP/,
      );
      expect(services).toMatch(/ingress-nginx-controller-admission +ClusterIP +\S+ +<none> +443\/TCP/);
      loadBalancer('default', 'second');
      await until('it is told why the second one waits', async () =>
        (await shell('kubectl describe service second')).includes('pool "main-pool" is exhausted'),
      );
      // And what is wrong is refused when it is applied: the webhooks are on.
      await expect(
        shell(
          `printf 'apiVersion: metallb.io/v1beta1\\nkind: IPAddressPool\\nmetadata: {name: again, namespace: metallb}\\nspec: {addresses: [192.168.111.11/32]}\\n' | kubectl apply -f -`,
        ),
      ).rejects.toThrow('it overlaps');
      cluster.kubectl(['-n', 'ingress-nginx', 'delete', 'services', '--all']);
      await shell('helm uninstall metallb --namespace metallb');
    });

    it('003, Flux with the values of a ConfigMap and an existingConfigMap: BGP to two pfSense, or ARP instead', async () => {
      manifest('flux-namespace.yaml');
      await shell('kubectl apply -f flux-namespace.yaml');
      manifest('flux-configmap-bgp.yaml');
      await shell('kubectl apply -f flux-configmap-bgp.yaml');
      writeFileSync(join(work, 'values.yaml'), FLUX_VALUES);
      // What helm-controller does with the HelmRelease of the document and its valuesFrom.
      await shell(`helm repo add metallb ${url} --force-update`);
      await shell('helm upgrade --install metallb metallb/metallb --namespace metallb-system --values values.yaml');
      const annotated = await shell(
        'kubectl get deployment metallb-controller -n metallb-system -o yaml | grep -c configmap.reloader.stakater.com/reload',
      );
      expect(Number(annotated)).toBeGreaterThanOrEqual(1);
      await runPods('metallb-system');
      const running = await shell('kubectl get pods -n metallb-system -o wide');
      expect(running.match(/metallb-speaker-\S+ +1\/1 +Running .* node-\d/g)).toHaveLength(3);
      await until(
        'the peers of the ConfigMap are resources',
        async () => (await shell('kubectl get bgppeers -n metallb-system')).match(/192\.168\.33\.[24]/g)?.length === 2,
      );
      cluster.kubectl(['create', 'namespace', 'podinfo']);
      loadBalancer('podinfo', 'podinfo');
      expect(await external('podinfo', 'podinfo')).toBe('192.168.32.1');
      expect(await shell('kubectl get services -n podinfo')).toMatch(/podinfo +LoadBalancer +\S+ +192\.168\.32\.1/);
      manifest('flux-configmap-layer2.yaml');
      await shell('kubectl apply -f flux-configmap-layer2.yaml');
      await until('the ConfigMap is followed', () => cluster.addressOf('podinfo', 'podinfo') === '192.168.1.240');
      cluster.kubectl(['-n', 'podinfo', 'delete', 'service', 'podinfo']);
      await shell('helm uninstall metallb --namespace metallb-system');
    });

    it('002, a Raspberry Pi cluster with microk8s: the addon, a pool of its own, hello-world by curl from the LAN', async () => {
      const enabled = await shell('microk8s enable metallb:10.64.140.43-10.64.140.49');
      expect(enabled).toContain('MetalLB is enabled');
      await runPods('metallb-system');
      manifest('raspberry-address-pool.yaml', 'metallb-address-pool.yaml');
      await shell('kubectl apply -f metallb-address-pool.yaml');
      manifest('raspberry-hello-deployment.yaml', 'hello-deployment.yaml');
      expect(await shell('kubectl apply -f hello-deployment.yaml')).toContain(
        'deployment.apps/echo-deployment created',
      );
      const address = await external('default', 'echo-service');
      expect(address).toBe('192.168.1.65');
      expect(await shell('kubectl get services')).toMatch(
        /echo-service +LoadBalancer +\S+ +192\.168\.1\.65 +80:\d+\/TCP/,
      );
      await until('exactly one node answers ARP', async () => (await askByArp(cluster.client, address)).length === 1);
      const page = await until('the page', async () => {
        const { stdout } = await cluster.client.runAsync(['curl', '-s', '--max-time', '1', `http://${address}`]);
        return stdout || undefined;
      });
      expect(page).toBe('hello-world\n');
      const neighbours = cluster.client.run(['ip', 'neighbour', 'show', address]).stdout;
      expect(cluster.nodes.map(({ mac }) => mac)).toContain(/lladdr (\S+)/.exec(neighbours)?.[1]);
      cluster.kubectl(['delete', 'deployment', 'echo-deployment']);
      await shell('microk8s disable metallb');
    });

    it('000, a homelab with microk8s: the addon asks for the range, the ingress has the address that it wishes for', async () => {
      const enabled = await shell('echo 192.168.88.40-192.168.88.60 | sudo microk8s enable metallb');
      expect(enabled).toContain('Enter each range of addresses');
      await runPods('metallb-system');
      cluster.kubectl(['create', 'namespace', 'ingress']);
      manifest('ingress-deployment.yaml');
      manifest('homelab-ingress-service.yaml', 'ingress-service.yaml');
      await shell('kubectl apply -f ingress-deployment.yaml -f ingress-service.yaml');
      expect(await external('ingress', 'ingress')).toBe('192.168.88.44');
      cluster.client.run(['ip', 'route', 'add', '192.168.88.0/24', 'dev', 'eth0']);
      await until('the ingress answers', async () => {
        const { stdout } = await cluster.client.runAsync(['curl', '-s', '--max-time', '1', 'http://192.168.88.44']);
        return stdout === 'hello-world\n';
      });
      expect(await shell('kubectl get services -n ingress')).toMatch(/ingress +LoadBalancer +\S+ +192\.168\.88\.44/);
      await shell('sudo microk8s disable metallb');
    });
  },
);

/** Of the document's ConfigMap: what it recommends to change, and what it shows unchanged. */
const FLUX_VALUES = `
global:
  imageRegistry: ""
existingConfigMap: metallb-config
commonAnnotations:
  configmap.reloader.stakater.com/reload: "metallb-config"
speaker:
  tolerations:
    - key: "node-role.kubernetes.io/master"
      effect: "NoSchedule"
prometheus:
  serviceMonitor:
    enabled: false
    jobLabel: "app.kubernetes.io/name"
    interval: ""
    metricRelabelings: []
    relabelings: []
`;
