/**
 * The directory in which a standalone installation keeps everything: objects, certificate, token, kubeconfig.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createServerCertificate, type ServerCertificate } from '../../adapters/certificates/self-signed.ts';
import { AdapterError } from '../../adapters/errors.ts';
import { writeKubeconfig } from '../../adapters/files/kubeconfig-file.ts';

export interface DataDirectory {
  readonly database: string;
  readonly certificate: ServerCertificate;
  readonly token: string;
  readonly kubeconfig: string;
}

interface Identity {
  readonly names: readonly string[];
  readonly token: string;
  readonly certificate: ServerCertificate;
}

/** Opens the directory and makes what is missing. `host` and `port` are where the API listens. Throws AdapterError. */
export async function openDataDirectory(directory: string, host: string, port: number): Promise<DataDirectory> {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const identity = await openIdentity(join(directory, 'identity.json'), host);
    const kubeconfig = join(directory, 'kubeconfig');
    const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    const server = `https://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
    writeKubeconfig(kubeconfig, { server, ca: identity.certificate.ca, token: identity.token });
    return {
      database: join(directory, 'objects.db'),
      certificate: identity.certificate,
      token: identity.token,
      kubeconfig,
    };
  } catch (error) {
    throw new AdapterError('data-dir', `--data-dir ${directory} cannot be used: ${(error as Error).message}`, error);
  }
}

/** Certificate and token stay the same over restarts, so that kubeconfigs that were copied go on working. */
async function openIdentity(path: string, host: string): Promise<Identity> {
  const names = [...new Set([host, 'localhost', '127.0.0.1', '::1', hostname()])];
  if (existsSync(path)) {
    const identity = JSON.parse(readFileSync(path, 'utf8')) as Identity;
    if (names.every((name) => identity.names.includes(name))) return identity;
    const renewed = { ...identity, names, certificate: await createServerCertificate(names) };
    write(path, renewed);
    return renewed;
  }
  const identity: Identity = {
    names,
    token: randomBytes(24).toString('base64url'),
    certificate: await createServerCertificate(names),
  };
  write(path, identity);
  return identity;
}

function write(path: string, identity: Identity): void {
  writeFileSync(path, JSON.stringify(identity), { mode: 0o600 });
  chmodSync(path, 0o600);
}
