/**
 * Brings everything that the demo and the tests need: npm packages (Node 24 among them) and Debian packages. Runs on any
 * Node from 20 on and does nothing when all is there. With arguments, runs them afterwards with the Node that it brought.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.metallb-setup');

/** Command -> the Debian package that brings it. */
const COMMANDS = {
  ip: 'iproute2',
  nft: 'nftables',
  unshare: 'util-linux',
  pgrep: 'procps',
  curl: 'curl',
  arping: 'iputils-arping',
  ndisc6: 'ndisc6',
  ping: 'iputils-ping',
  tcpdump: 'tcpdump',
  kubectl: 'kubernetes-client',
};

/** What only the suites on a real API server need. */
const CLUSTER_COMMANDS = { etcd: 'etcd-server', openssl: 'openssl' };

/** Routers, which only the lab needs. Their services must not run on this machine because of us. */
const ROUTER_COMMANDS = { vtysh: 'frr', bird: 'bird2', gobgpd: 'gobgpd', bgpctl: 'openbgpd', pmbmpd: 'pmacct' };
const SERVICES = ['frr', 'bird', 'gobgpd', 'openbgpd', 'prometheus'];

/** What the image is looked at and started with, and what judges alert rules. */
const IMAGE_COMMANDS = { skopeo: 'skopeo', umoci: 'umoci', runc: 'runc', promtool: 'prometheus' };
const POLICY = '/usr/sbin/policy-rc.d';

function fail(message) {
  process.stderr.write(`setup: ${message}\n`);
  process.exit(1);
}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  return error === undefined && status === 0;
}

function installNodePackages() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  process.stdout.write('setup: npm packages …\n');
  // Not `npm ci`: it insists on lock entries for the optional packages of platforms that a mirror of the registry may lack.
  // The lockfile holds all the same, and `--no-save` leaves it alone.
  if (!run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']))
    fail('npm install failed; see above');
  if (!existsSync(join(root, 'node_modules', '.bin', 'node')))
    fail('the npm package `node` brought no Node; see node_modules/node');
  writeFileSync(stamp, wanted);
}

function has(command) {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  return spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore', env }).status === 0;
}

function installSystemPackages() {
  const forCluster =
    process.argv.some((argument) => argument.includes('cluster')) && process.env.KUBEBUILDER_ASSETS === undefined;
  const forTests = process.argv.some((argument) => argument.includes('tools/test.ts'));
  const forLab = forTests || process.argv.includes('--bgp');
  const wanted = {
    ...COMMANDS,
    ...(forCluster && CLUSTER_COMMANDS),
    ...(forLab && ROUTER_COMMANDS),
    ...(forTests && IMAGE_COMMANDS),
  };
  const missing = Object.entries(wanted).filter(([command]) => !has(command));
  if (missing.length === 0) return;
  const packages = missing.map(([, name]) => name);
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !has('apt-get')) {
    const commands = missing.map(([command]) => command).join(', ');
    process.stdout.write(
      `setup: missing commands: ${commands}. Install them (Debian: apt-get install ${packages.join(' ')}); what needs them says so.\n`,
    );
    return;
  }
  process.stdout.write(`setup: Debian packages ${packages.join(' ')} …\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = ['-qq', '-o=Dpkg::Use-Pty=0'];
  run('apt-get', [...quiet, 'update'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const bringsServices = packages.some(
    (name) => SERVICES.includes(name) || Object.values(ROUTER_COMMANDS).includes(name),
  );
  // Debian asks this file whether a service that has just been installed may start (101: no).
  const isPolicyOurs = bringsServices && !existsSync(POLICY);
  if (isPolicyOurs) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const isInstalled = install(packages, env, quiet);
  if (isPolicyOurs) rmSync(POLICY);
  if (bringsServices) for (const service of SERVICES) run('update-rc.d', [service, 'disable'], { stdio: 'ignore' });
  if (!isInstalled) fail(`apt-get install ${packages.join(' ')} failed; see above`);
}

function install(packages, env, quiet) {
  return run('apt-get', [...quiet, 'install', '-y', '--no-install-recommends', ...packages], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

if (Number(process.versions.node.split('.')[0]) < 20)
  fail(`Node ${process.versions.node} is too old; 20 or newer is needed to begin with`);
installNodePackages();
installSystemPackages();
const [script, ...args] = process.argv.slice(2);
if (script !== undefined) {
  const node = join(root, 'node_modules', '.bin', 'node');
  const { status } = spawnSync(node, ['--disable-warning=ExperimentalWarning', script, ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}
