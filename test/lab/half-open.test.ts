/**
 * An API server whose host vanishes: no FIN, no RST, no ICMP.
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addHost, createLan, type LanHost, removeLan } from '../../lab/net/lan.ts';
import { isInside, prepareInside } from '../../lab/net/sandbox.ts';
import type { LabProcess } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { createServerCertificate } from '../../src/adapters/certificates/self-signed.ts';
import { writeKubeconfig } from '../../src/adapters/files/kubeconfig-file.ts';
import { KubernetesClient } from '../../src/adapters/kubernetes/client.ts';
import { Connection } from '../../src/adapters/kubernetes/connection.ts';
import { Reflector } from '../../src/adapters/kubernetes/reflector.ts';

if (!isInside()) throw new Error('the lab tests build networks: run them by `npm test`, which gives them a sandbox');

/** Milliseconds: long past what TCP needs, 25 s, and well before a watch would end by itself. */
const PATIENCE = 60_000;
const ADDRESS = '192.168.1.20';

describe('an API server whose host vanishes', () => {
  const directory = mkdtempSync(join(tmpdir(), 'metallb-half-open-'));
  const troubles: string[] = [];
  let lists = 0;
  let isOpen = false;
  let host: LanHost;
  let server: LabProcess;
  let reflector: Reflector;

  beforeAll(async () => {
    prepareInside();
    createLan();
    host = addHost('api', ADDRESS, '02:00:00:00:00:20');
    const certificate = await createServerCertificate([ADDRESS]);
    const file = (name: string, content: string) => {
      writeFileSync(join(directory, name), content, { mode: 0o600 });
      return join(directory, name);
    };
    const [cert, key] = [file('tls.crt', certificate.cert), file('tls.key', certificate.key)];
    const script = resolve(import.meta.dirname, '../../lab/kubernetes/quiet-api.ts');
    server = host.start('api', [process.execPath, script, ADDRESS, cert, key], join(directory, 'api.log'));
    await until('the server listens', () => server.log().includes('listening'));
    const kubeconfig = join(directory, 'kubeconfig');
    writeKubeconfig(kubeconfig, { server: `https://${ADDRESS}:6443`, ca: certificate.ca, token: 'any' });
    reflector = new Reflector({
      client: new KubernetesClient(Connection.open(kubeconfig), 'half-open'),
      resource: 'services',
      onChange: (change) => {
        if (change.kind === 'replaced') lists++;
      },
      record: (input) => {
        if (input.kind === 'watch-opened') isOpen = true;
      },
      onTrouble: (what, message) => void troubles.push(`${what}: ${message}`),
    });
    reflector.start();
    await until('the list', () => lists > 0);
  });
  afterAll(async () => {
    reflector?.stop();
    await server?.stop();
    removeLan([host]);
    rmSync(directory, { recursive: true });
  });

  it('is noticed on a quiet watch, long before the watch would end', { timeout: 6 * PATIENCE }, async () => {
    await until('the watch is open', () => isOpen);
    host.unplug();
    await until('the reflector complains', () => troubles.length > 0, { patience: PATIENCE, interval: 100 });
    expect(troubles[0]).toMatch(/^watch-failed: .*ETIMEDOUT/);
    host.plug();
    const before = troubles.length;
    reflector.relist();
    await until('it is followed again', () => lists > 1, { patience: PATIENCE });
    expect(troubles.slice(before).filter((text) => text.startsWith('expired'))).toEqual([]);
  });
});
