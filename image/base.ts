/**
 * What Node needs of an operating system, from Debian's packages and no more of them than that: no shell, no package manager.
 * @module
 */
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { must } from '../lab/net/shell.ts';
import type { Architecture } from './oci.ts';

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
}

const TRIPLETS: Readonly<Record<Architecture, string>> = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };
const LOADERS: Readonly<Record<Architecture, string>> = {
  amd64: 'lib64/ld-linux-x86-64.so.2',
  arm64: 'lib/ld-linux-aarch64.so.1',
};

/** Package, and which of its files. */
const WANTED: Readonly<Record<string, RegExp>> = {
  libc6: /^(libc|libm|libdl|libpthread|librt|libresolv|libnss_dns|libnss_files|ld-linux[-\w]*)\.so/,
  'libgcc-s1': /^libgcc_s\.so/,
  'libstdc++6': /^libstdc\+\+\.so/,
};

/** In dpkg-deb's own notation. */
const FORMAT = ['Package', 'Version'].map((field) => `\${${field}}`).join(' ');

/** Users that the pods run as; both names are Debian's. */
const PASSWD = 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n';

/**
 * Fills `root` from the package sources of this machine, which are asked for packages of the other architecture as well.
 * Throws with apt's words where there is no apt, or no answer.
 */
export function base(root: string, architecture: Architecture, scratch: string): DebianPackage[] {
  const state = join(scratch, `apt-${architecture}`);
  for (const folder of ['lists/partial', 'cache/archives/partial', 'packages'])
    mkdirSync(join(state, folder), { recursive: true });
  writeFileSync(join(state, 'status'), '');
  const options = [
    `Dir::State=${state}`,
    `Dir::State::Lists=${state}/lists`,
    `Dir::State::status=${state}/status`,
    `Dir::Cache=${state}/cache`,
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  must(['apt-get', '-qq', ...options, 'update'], { timeout: 120_000 });
  const names = ['libc6', 'libgcc-s1', 'libstdc++6'];
  must(['sh', '-c', 'cd "$0" && exec apt-get -qq "$@"', join(state, 'packages'), ...options, 'download', ...names], {
    timeout: 120_000,
  });
  return readdirSync(join(state, 'packages')).map((file) => {
    const path = join(state, 'packages', file);
    const [name, version] = must(['dpkg-deb', '-W', '--showformat', FORMAT, path]).split(' ');
    const unpacked = join(state, name!);
    must(['dpkg-deb', '-x', path, unpacked]);
    take(unpacked, root, architecture, name!);
    return { name: name!, version: version! };
  });
}

function take(unpacked: string, root: string, architecture: Architecture, name: string): void {
  const folder = `lib/${TRIPLETS[architecture]}`;
  for (const where of [folder, `usr/${folder}`]) {
    if (!existsSync(join(unpacked, where))) continue;
    for (const file of readdirSync(join(unpacked, where)))
      if (WANTED[name]!.test(file))
        cpSync(join(unpacked, where, file), join(root, folder, file), { verbatimSymlinks: true });
  }
  const loader = LOADERS[architecture];
  if (name === 'libc6') {
    mkdirSync(dirname(join(root, loader)), { recursive: true });
    symlinkSync(`/${folder}/${basename(loader)}`, join(root, loader));
  }
  const copyright = `usr/share/doc/${name}/copyright`;
  // libgcc's is a link to the one of gcc-base.
  if (existsSync(join(unpacked, copyright))) cpSync(join(unpacked, copyright), join(root, copyright));
  mkdirSync(join(root, 'etc'), { recursive: true });
  mkdirSync(join(root, 'tmp'), { recursive: true });
  // Not by mkdir, which the umask of whoever builds would have its say in.
  chmodSync(join(root, 'tmp'), 0o1777);
  writeFileSync(join(root, 'etc/passwd'), PASSWD);
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  writeFileSync(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
}
