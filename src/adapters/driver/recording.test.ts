import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decodeLine, encodeLine, Recorder } from './recording.ts';

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
    const plans = ['hush', 'hush', 'hush hush'].map((text) => ({ peer: { password: { encoding: 'utf8', text } } }));
    recorder.record({ kind: 'wanted', plans, more: new Map([['a', { password: 'hush' }]]) }, 3);
    recorder.write({ machine: 'liveness', settings: { self: 'a', secret: Buffer.from('hush') } });
    await recorder.close();
    const text = readFileSync(path, 'utf8');
    expect(text).not.toMatch(/hush|aHVzaA==|68757368/);
    expect(text).toContain('"kept":"yes"');
    expect(text).toContain('192.0.2.1');
    // It can still be told which of them are the same.
    const [, , wanted] = text
      .trim()
      .split('\n')
      .map((line) => (decodeLine(line) as { input: typeof wanted }).input) as {
      plans: typeof plans;
    }[];
    const [one, two, three] = wanted!.plans.map((plan) => plan.peer.password.text);
    expect([one === two, one === three]).toEqual([true, false]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

it('what JSON cannot say comes back as it was', () => {
  const value = { big: 1n, bytes: Uint8Array.of(1, 255), map: new Map([['a', new Set([2n])]]), list: [{ text: 'x' }] };
  expect(decodeLine(encodeLine(value))).toEqual(value);
  // What a socket gives is a Buffer.
  expect(decodeLine(encodeLine({ bytes: Buffer.from([1, 255]) }))).toEqual({ bytes: Uint8Array.of(1, 255) });
});
