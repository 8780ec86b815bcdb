/**
 * A sandbox: namespaces for network, mounts, processes and, without root, users. When its first process ends,
 * for whatever reason, the kernel removes everything that was created inside.
 * @module
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { must, run } from './shell.ts';

const INSIDE = 'METALLB_LAB_INSIDE';

export function isInside(): boolean {
  return process.env[INSIDE] === '1';
}

/** What is missing for a sandbox here, as text for the user; undefined if nothing is. */
export function whyNoSandbox(): string | undefined {
  const missing = ['unshare', 'ip', 'nft', 'curl', 'arping', 'ndisc6', 'ping', 'tcpdump'].filter(
    (tool) => run(['sh', '-c', `command -v ${tool}`]).status !== 0,
  );
  if (missing.length > 0) {
    return `these commands are missing: ${missing.join(', ')} (as root: apt-get install util-linux iproute2 nftables curl iputils-arping ndisc6 iputils-ping tcpdump)`;
  }
  const probe = run(['unshare', ...unshareFlags(), 'true']);
  return probe.status === 0 ? undefined : `the kernel gives us no namespaces of our own: ${probe.stderr.trim()}`;
}

function unshareFlags(): string[] {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  return [...user, '--mount', '--net', '--pid', '--fork', '--mount-proc', '--kill-child'];
}

/** Runs a script of ours inside a new sandbox and resolves with its exit code. Interrupts are for the script to handle. */
export function runInside(script: string, args: readonly string[]): Promise<number> {
  const command = [...unshareFlags(), process.execPath, '--disable-warning=ExperimentalWarning', script, ...args];
  const child = spawn('unshare', command, { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  const ignore = () => {};
  // Ctrl-C reaches the script by itself; a signal to this process alone is handed on.
  process.on('SIGINT', ignore);
  const handOn = () => {
    for (const pid of run(['pgrep', '-P', String(child.pid)])
      .stdout.split('\n')
      .filter(Boolean))
      process.kill(Number(pid), 'SIGTERM');
  };
  process.on('SIGTERM', handOn);
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      process.off('SIGINT', ignore);
      process.off('SIGTERM', handOn);
      resolve(code ?? 1);
    });
  });
}

/** Programs that give up root for a user of their own cannot do so in the user namespace of an unprivileged user. */
export function hasOtherUsers(): boolean {
  return /^\s*0\s+0\s/.test(readFileSync('/proc/self/uid_map', 'utf8'));
}

/** To be called once inside: private /run for the names of network namespaces, loopback up. */
export function prepareInside(): void {
  must(['mount', '--make-rprivate', '/']);
  must(['mount', '-t', 'tmpfs', 'tmpfs', '/run']);
  mkdirSync('/run/netns');
  must(['ip', 'link', 'set', 'lo', 'up']);
}
