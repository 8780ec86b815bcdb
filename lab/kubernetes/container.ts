/**
 * The image as a container runtime starts it: unpacked by umoci, run by runc as the pod of the chart would have it.
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, run } from '../net/shell.ts';

/** What is missing, as text for the user; undefined if nothing is. */
export function whyNoContainers(): string | undefined {
  if (process.getuid?.() !== 0) return 'a container as the kubelet starts it needs root';
  const missing = ['skopeo', 'umoci', 'runc'].filter((tool) => run(['sh', '-c', `command -v ${tool}`]).status !== 0);
  return missing.length === 0
    ? undefined
    : `these are missing: ${missing.join(', ')} (Debian: apt-get install ${missing.join(' ')})`;
}

/** The security context of a pod, as far as the kernel has a say in it. */
export interface SecurityContext {
  readonly user: number;
  /** Added after all have been dropped, without CAP_. */
  readonly capabilities: readonly string[];
}

export const CONTROLLER: SecurityContext = { user: 65_534, capabilities: [] };
export const SPEAKER: SecurityContext = { user: 0, capabilities: ['NET_RAW'] };

interface RuntimeConfig {
  process: Record<string, unknown>;
  root: Record<string, unknown>;
  mounts: { destination: string; type: string; source: string; options?: string[] }[];
  linux: Record<string, unknown> & { namespaces: { type: string }[] };
}

export class Image {
  readonly #bundle: string;
  readonly #directory: string;

  /** Unpacks an OCI layout below `directory`. */
  constructor(layout: string, tag: string, directory: string) {
    this.#bundle = join(directory, 'bundle');
    this.#directory = directory;
    must(['umoci', 'unpack', '--image', `${layout}:${tag}`, this.#bundle]);
  }

  get root(): string {
    return join(this.#bundle, 'rootfs');
  }

  /** The command that runs `args` of the image's program on the network of whoever runs it; `folders` are there read-only. */
  command(id: string, args: readonly string[], context: SecurityContext, folders: readonly string[] = []): string[] {
    const config = JSON.parse(readFileSync(join(this.#bundle, 'config.json'), 'utf8')) as RuntimeConfig;
    const allowed = context.capabilities.map((name) => `CAP_${name}`);
    const sets = ['bounding', 'effective', 'permitted'].map((set) => [set, allowed]);
    config.process = {
      ...config.process,
      terminal: false,
      user: { uid: context.user, gid: context.user },
      args: [...(config.process.args as string[]), ...args],
      capabilities: Object.fromEntries(sets),
      noNewPrivileges: true,
      rlimits: [],
    };
    config.root = { path: this.root, readonly: true };
    config.mounts = [
      ...config.mounts.filter(({ type }) => type !== 'cgroup'),
      ...folders.map((path) => ({ destination: path, type: 'bind', source: path, options: ['rbind', 'ro'] })),
    ];
    config.linux = {
      ...config.linux,
      namespaces: config.linux.namespaces.filter(({ type }) => type !== 'network'),
      seccomp: runtimeDefault(context.capabilities),
    };
    const bundle = join(this.#directory, id);
    mkdirSync(bundle, { recursive: true });
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    // `ip netns exec` gives its command a /sys of its own, without cgroups: back to the mounts of the lab, and stay on that network.
    const mounts = `--mount=/proc/${process.pid}/ns/mnt`;
    return ['nsenter', mounts, 'runc', '--root', join(this.#directory, 'state'), 'run', '--bundle', bundle, id];
  }
}

interface Group {
  readonly names: readonly string[];
  readonly action: string;
  readonly args: readonly object[] | null;
  readonly errnoRet?: number;
  readonly includes: Condition;
  readonly excludes: Condition;
}

interface Condition {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
}

/** Podman's and CRI-O's default, which Debian's golang-github-containers-common brings. */
const PROFILE = '/usr/share/containers/seccomp.json';

/** What seccompProfile RuntimeDefault comes to for a container with these capabilities. */
function runtimeDefault(capabilities: readonly string[]): object {
  const profile = JSON.parse(readFileSync(PROFILE, 'utf8')) as { defaultAction: string; syscalls: Group[] };
  const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const has = (caps: readonly string[]) => caps.some((name) => capabilities.includes(name.slice('CAP_'.length)));
  const holds = ({ includes, excludes }: Group) =>
    (includes.caps === undefined || has(includes.caps)) &&
    (includes.arches === undefined || includes.arches.includes(arch)) &&
    (excludes.caps === undefined || !has(excludes.caps)) &&
    !(excludes.arches ?? []).includes(arch);
  return {
    defaultAction: profile.defaultAction,
    architectures: [arch === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64'],
    syscalls: profile.syscalls.filter(holds).map(({ names, action, args, errnoRet }) => ({
      names,
      action,
      ...(args !== null && args.length > 0 && { args }),
      ...(errnoRet !== undefined && { errnoRet }),
    })),
  };
}
