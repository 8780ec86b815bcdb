/**
 * A real kube-apiserver with etcd on loopback, for the suites that run on any API server.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { createServerCertificate } from '../../src/adapters/certificates/self-signed.ts';
import { writeKubeconfig } from '../../src/adapters/files/kubeconfig-file.ts';
import { freePort, type LabProcess, must, run, start } from '../net/shell.ts';
import { until } from '../net/waiting.ts';

const MODULE = resolve(import.meta.dirname, 'apiserver');
/** As in the module's go.mod; Helm asks the server for it. */
const VERSION = '1.34.3';
const [MAJOR, MINOR] = VERSION.split('.');
const STAMP = { gitVersion: `v${VERSION}`, gitMajor: MAJOR, gitMinor: MINOR };
const LINKER_FLAGS = Object.entries(STAMP).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);

/** The audit log: one line of JSON per request. */
const AUDIT_POLICY =
  'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, omitStages: [RequestReceived]}]\n';

export interface RealApi {
  readonly kubeconfig: string;
  readonly auditLog: string;
  /** kill -9 of kube-apiserver; etcd goes on. */
  kill(): Promise<void>;
  /** Starts kube-apiserver again, with the same state on the same port. */
  revive(): Promise<void>;
  stop(): Promise<void>;
}

/** Where the programs are. */
export interface Binaries {
  readonly apiServer: string;
  readonly etcd: string;
}

/** Builds kube-apiserver if necessary. A string says why they are not available here. */
export function findBinaries(): Binaries | string {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets !== undefined) return { apiServer: join(assets, 'kube-apiserver'), etcd: join(assets, 'etcd') };
  if (run(['sh', '-c', 'command -v etcd']).status !== 0) return 'etcd is missing (Debian: apt-get install etcd-server)';
  const version = run(['go', 'version']);
  if (version.status !== 0) return 'Go is missing, which builds kube-apiserver; or set KUBEBUILDER_ASSETS';
  const apiServer = join(homedir(), '.cache', 'metallb-ts', `kube-apiserver-${VERSION}`);
  if (!existsSync(apiServer)) {
    process.stdout.write('building kube-apiserver; the first time takes some minutes …\n');
    mkdirSync(join(homedir(), '.cache', 'metallb-ts'), { recursive: true });
    const flags = ['-trimpath', `-ldflags=${LINKER_FLAGS.join(' ')}`, '-o', apiServer];
    const build = ['go', 'build', '-C', MODULE, ...flags, 'k8s.io/kubernetes/cmd/kube-apiserver'];
    const { status, stderr } = run(build, { timeout: 1_800_000 });
    if (status !== 0) return `kube-apiserver cannot be built: ${stderr.trim().split('\n').at(-1)}`;
  }
  return { apiServer, etcd: 'etcd' };
}

/** Starts both and installs our CRDs. Everything is below `directory`. */
export async function startRealApi(
  { apiServer, etcd }: Binaries,
  directory: string,
  { address = '127.0.0.1', port: wanted }: { readonly address?: string; readonly port?: number } = {},
): Promise<RealApi> {
  mkdirSync(directory, { recursive: true });
  const [client, peer, port] = [await freePort(), await freePort(), wanted ?? (await freePort())];
  const processes: LabProcess[] = [];
  const file = (name: string, content: string) => {
    const path = join(directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const stop = async () => {
    for (const process of [...processes].reverse()) await process.stop();
  };
  try {
    const url = (number: number) => `http://127.0.0.1:${number}`;
    const etcdFlags = [
      '--data-dir',
      join(directory, 'etcd'),
      '--listen-client-urls',
      url(client),
      '--advertise-client-urls',
      url(client),
      '--listen-peer-urls',
      url(peer),
      '--initial-advertise-peer-urls',
      url(peer),
      '--initial-cluster',
      `default=${url(peer)}`,
      '--unsafe-no-fsync',
    ];
    processes.push(
      start(
        'etcd',
        [etcd, ...etcdFlags.filter((flag) => flag !== '--unsafe-no-fsync' || supportsNoFsync(etcd))],
        join(directory, 'etcd.log'),
      ),
    );
    const certificate = await createServerCertificate([...new Set([address, '127.0.0.1', 'localhost'])]);
    const token = randomBytes(24).toString('base64url');
    must(['openssl', 'genrsa', '-out', join(directory, 'sa.key'), '2048']);
    const flags = [
      `--etcd-servers=${url(client)}`,
      `--bind-address=${address}`,
      `--secure-port=${port}`,
      `--tls-cert-file=${file('tls.crt', certificate.cert)}`,
      `--tls-private-key-file=${file('tls.key', certificate.key)}`,
      `--token-auth-file=${file('tokens.csv', `${token},admin,admin,system:masters\n`)}`,
      '--authorization-mode=RBAC',
      '--service-cluster-ip-range=10.96.0.0/12,fd00:10:96::/112',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${join(directory, 'sa.key')}`,
      `--service-account-signing-key-file=${join(directory, 'sa.key')}`,
      '--disable-admission-plugins=ServiceAccount',
      '--profiling=false',
      `--audit-policy-file=${file('audit-policy.yaml', AUDIT_POLICY)}`,
      `--audit-log-path=${join(directory, 'audit.log')}`,
    ];
    let starts = 0;
    const startServer = () => {
      const log = join(directory, `kube-apiserver-${++starts}.log`);
      const process = start('kube-apiserver', [apiServer, ...flags], log);
      processes.push(process);
      return process;
    };
    let server = startServer();
    const kubeconfig = join(directory, 'kubeconfig');
    writeKubeconfig(kubeconfig, { server: `https://${address}:${port}`, ca: certificate.ca, token });
    const kubectl = (...args: string[]) => run(['kubectl', ...args], { env: { KUBECONFIG: kubeconfig } });
    const ready = () =>
      until('kube-apiserver is ready', () => kubectl('get', '--raw', '/readyz').status === 0, {
        patience: 90_000,
        interval: 300,
      });
    await ready();
    await until('the namespace default', () => kubectl('get', 'namespace', 'default').status === 0, {
      patience: 30_000,
      interval: 200,
    });
    // Cluster IPs are allotted some moments after the server calls itself ready.
    const probe = ['create', 'service', 'clusterip', 'probe', '--tcp=80:80', '--dry-run=server'];
    await until('cluster IPs can be had', () => kubectl(...probe).status === 0, { patience: 30_000, interval: 200 });
    const applied = kubectl('apply', '--server-side', '-f', resolve(import.meta.dirname, '../../config/crd/bases'));
    if (applied.status !== 0) throw new Error(`our CRDs are refused: ${applied.stderr}`);
    kubectl('create', 'namespace', 'metallb-system');
    await until(
      'the CRDs are served',
      () => kubectl('get', 'ipaddresspools,bgppeers,servicel2statuses', '-A').status === 0,
      { patience: 30_000, interval: 200 },
    );
    return {
      kubeconfig,
      auditLog: join(directory, 'audit.log'),
      stop,
      kill: async () => {
        server.kill('SIGKILL');
        await server.exited;
      },
      revive: async () => {
        server = startServer();
        await ready();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Tests need no durability; versions before 3.5 do not know the flag. */
function supportsNoFsync(etcd: string): boolean {
  return run([etcd, '--help']).stdout.includes('unsafe-no-fsync');
}

/** A kubeconfig with the token of a ServiceAccount, as its pod would have it. */
export function writeTokenKubeconfig(admin: string, namespace: string, serviceAccount: string, file: string): void {
  const env = { KUBECONFIG: admin };
  const token = must(['kubectl', '-n', namespace, 'create', 'token', serviceAccount], { env }).trim();
  const config = JSON.parse(must(['kubectl', 'config', 'view', '--raw', '-o', 'json'], { env })) as {
    users: { user: { token: string } }[];
  };
  config.users[0]!.user = { token };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
}
