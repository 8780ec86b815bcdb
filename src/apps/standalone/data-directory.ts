/**
 * The directory in which a standalone installation keeps everything: objects, certificate, token, kubeconfig.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createServerCertificate, type ServerCertificate } from '../../adapters/certificates/self-signed.ts';
import { AdapterError, systemCode } from '../../adapters/errors.ts';
import { writeKubeconfig } from '../../adapters/files/kubeconfig-file.ts';
import { Store } from '../../kube-api/embedded-api.ts';

export interface DataDirectory {
  /** Locked: as long as it is open the directory is ours. */
  readonly store: Store;
  readonly certificate: ServerCertificate;
  readonly token: string;
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
  /** Writes the kubeconfig, for an API that listens there. */
  publish(port: number): void;
}

interface Identity {
  readonly names: readonly string[];
  readonly token: string;
  readonly certificate: ServerCertificate;
}

/**
 * Makes the directory ours and completes it. Whoever is not first is refused before he has touched anything in it. `host` is where the API
 * will listen, `database` another place for the objects. Throws AdapterError.
 */
export async function openDataDirectory(
  directory: string,
  host: string,
  database = join(directory, 'objects.db'),
): Promise<DataDirectory> {
  const refuse = (why: string, error: unknown) => new AdapterError('data-dir', `--data-dir ${directory}${why}`, error);
  let store: Store;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    store = new Store(database);
  } catch (error) {
    const { message } = error as Error;
    if (systemCode(error) !== 'ERR_SQLITE_ERROR') throw refuse(` cannot be used: ${message}`, error);
    const why = message.includes('locked')
      ? 'another standalone process uses it'
      : `${message}; put a copy of objects.db there, or move it away to start with no objects`;
    throw refuse(`: the database cannot be opened: ${why}`, error);
  }
  try {
    const { certificate, token } = await openIdentity(join(directory, 'identity.json'), host);
    const kubeconfig = join(directory, 'kubeconfig');
    const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    const server = `https://${reachable.includes(':') ? `[${reachable}]` : reachable}`;
    const publish = (port: number) =>
      writeKubeconfig(kubeconfig, { server: `${server}:${port}`, ca: certificate.ca, token });
    return { store, certificate, token, kubeconfig, publish };
  } catch (error) {
    store.close();
    throw refuse(` cannot be used: ${(error as Error).message}`, error);
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
