/**
 * Writes kubeconfig files.
 * @module
 */
import { renameSync, writeFileSync } from 'node:fs';
import { formatYaml } from './yaml.ts';

export interface KubeconfigContent {
  readonly server: string;
  /** PEM. */
  readonly ca: string;
  readonly token: string;
}

/** Writes the file atomically, readable by its owner only. Throws the operating system's error. */
export function writeKubeconfig(path: string, { server, ca, token }: KubeconfigContent): void {
  const name = 'metallb';
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  writeFileSync(`${path}.new`, formatYaml(content), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
