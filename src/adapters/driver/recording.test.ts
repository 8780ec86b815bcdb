import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Recorder } from './recording.ts';

it('a recording holds no password, wherever it stands', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'metallb-recording-'));
  const path = join(directory, 'x.jsonl');
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{"hush":1}', kept: 'yes' };
  const secret = { metadata: { name: 's', annotations }, data: { password: 'aHVzaA==' } };
  const peer = { metadata: { name: 'p', annotations }, spec: { peerAddress: '192.0.2.1', password: 'hush' } };
  try {
    const recorder = new Recorder(path);
    recorder.record({ kind: 'replaced', resource: 'secrets', objects: [secret] }, 1);
    recorder.record({ kind: 'applied', resource: 'bgppeers', object: peer }, 2);
    await recorder.close();
    const text = readFileSync(path, 'utf8');
    expect(text).not.toMatch(/hush|aHVzaA==/);
    expect(text).toContain('"kept":"yes"');
    expect(text).toContain('192.0.2.1');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
