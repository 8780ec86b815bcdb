import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { METALLB, metallb, scratch, startStandalone } from './processes.ts';

const directory = scratch();
afterAll(() => directory.remove());
const file = (name: string, content: string) => {
  const path = join(directory.path, name);
  writeFileSync(path, content);
  return path;
};
const NOWHERE =
  'apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]\nusers: []\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n';

describe('bad input gets one clear line and a non-zero exit', () => {
  it.each<[string, () => readonly string[], string, number]>([
    ['an unknown command', () => ['frobnicate'], "unknown command 'frobnicate'", 1],
    ['a command that every object of JavaScript has', () => ['constructor'], "unknown command 'constructor'", 1],
    ['another of these', () => ['__proto__'], "unknown command '__proto__'", 1],
    ['an importer of that name', () => ['migrate', '--from', 'constructor'], '"constructor" is none of', 2],
    ['a file that is not there', () => ['convert', '-f', '/nonexistent'], '/nonexistent cannot be read: ENOENT', 1],
    ['an unknown flag', () => ['controller', '--frobnicate'], "unknown option '--frobnicate'", 1],
    [
      'an unreadable kubeconfig',
      () => ['controller', '--kubeconfig', '/nonexistent/config'],
      'the kubeconfig (/nonexistent/config) cannot be read',
      1,
    ],
    ['a kubeconfig that is no YAML', () => ['controller', '--kubeconfig', file('bad', '{{{{')], 'cannot be read', 1],
    [
      'a kubeconfig without a cluster',
      () => [
        'controller',
        '--kubeconfig',
        file('empty', 'apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\ncurrent-context: none\n'),
      ],
      'has no current context',
      1,
    ],
    [
      'a speaker without a node name',
      () => ['speaker', '--kubeconfig', file('k', NOWHERE)],
      '--node-name is missing',
      2,
    ],
    [
      'a bad log level',
      () => ['controller', '--kubeconfig', file('k', NOWHERE), '--log-level', 'loud'],
      '"loud" is not a log level; use one of all, debug, info, warn, error, none',
      2,
    ],
    [
      'a bad port',
      () => ['controller', '--kubeconfig', file('k', NOWHERE), '--health-probe-port', '70000'],
      '"70000" is not a port',
      2,
    ],
    [
      'a bad liveness address',
      () => [
        'speaker',
        '--kubeconfig',
        file('k', NOWHERE),
        '--node-name',
        'n',
        '--ml-bindaddr',
        'eth0',
        '--ml-labels',
        'a=b',
      ],
      '"eth0" is not an IP address',
      2,
    ],
    [
      'a missing secret',
      () => [
        'speaker',
        '--kubeconfig',
        file('k', NOWHERE),
        '--node-name',
        'n',
        '--ml-bindaddr',
        '127.0.0.1',
        '--ml-labels',
        'a=b',
        '--ml-secret-key-path',
        '/nonexistent',
      ],
      '/nonexistent/secretkey cannot be read',
      1,
    ],
    [
      'an empty secret',
      () => [
        'speaker',
        '--kubeconfig',
        file('k', NOWHERE),
        '--node-name',
        'n',
        '--ml-bindaddr',
        '127.0.0.1',
        '--ml-labels',
        'a=b',
        '--ml-secret-key-path',
        dirname(file('secretkey', '')),
      ],
      'secretkey is empty',
      1,
    ],
    ['standalone without a directory', () => ['standalone'], '--data-dir is missing', 2],
    ['a directory that cannot be made', () => ['standalone', '--data-dir', '/dev/null/data'], '/dev/null/data', 1],
    [
      'a bad listen address',
      () => ['standalone', '--data-dir', directory.path, '--listen', 'here'],
      '"here" is not ADDRESS:PORT',
      2,
    ],
    [
      'an address that is not ours',
      () => ['standalone', '--data-dir', join(directory.path, 'd'), '--listen', '192.0.2.77:7443'],
      '192.0.2.77 is not an address of this machine',
      1,
    ],
  ])('%s', async (_, args, message, status) => {
    const result = await metallb(args(), { KUBECONFIG: '', METALLB_NODE_NAME: '' });
    expect(result.stderr).toContain(message);
    expect(result.status).toBe(status);
    expect(result.stderr).not.toMatch(/^\s+at /m);
    expect(
      result.stderr
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('metallb: ')),
    ).toHaveLength(1);
  });

  it('a busy port', async () => {
    const port = await freePort();
    const other = createServer().listen(port, '0.0.0.0');
    const busy = await metallb([
      'controller',
      '--kubeconfig',
      file('k', NOWHERE),
      '--health-probe-port',
      String(port),
      '--port',
      '0',
    ]);
    const busyToo = await metallb([
      'standalone',
      '--data-dir',
      join(directory.path, 'busy'),
      '--listen',
      `127.0.0.1:${port}`,
    ]);
    other.close();
    expect([busy.status, busy.stderr]).toEqual([
      1,
      `metallb: --health-probe-port: 0.0.0.0:${port} is in use by another process; end it or choose another port\n`,
    ]);
    expect([busyToo.status, busyToo.stderr]).toEqual([
      1,
      `metallb: --listen: 127.0.0.1:${port} is in use by another process; end it or choose another port\n`,
    ]);
  });

  it('a data directory that another process uses, in which nothing changes', async () => {
    const own = scratch();
    const data = join(own.path, 'data');
    const first = await startStandalone(own.path, ['--api-only']);
    const files = () => ['kubeconfig', 'identity.json'].map((name) => readFileSync(join(data, name), 'utf8'));
    const before = files();
    // Another address would be another name in the certificate, too.
    const listen = `127.0.0.2:${await freePort()}`;
    const second = await metallb(['standalone', '--data-dir', data, '--listen', listen]);
    const after = files();
    await first.process.stop();
    own.remove();
    expect(second.stderr).toMatch(/--data-dir .*: the database cannot be opened: another standalone process uses it/);
    expect(second.status).toBe(1);
    expect(after).toEqual(before);
  });

  it('a data directory whose port is taken keeps its kubeconfig', async () => {
    const own = scratch();
    const first = await startStandalone(own.path, ['--api-only']);
    await first.process.stop();
    const before = readFileSync(first.kubeconfig, 'utf8');
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    const listen = `127.0.0.1:${port}`;
    const second = await metallb(['standalone', '--data-dir', join(own.path, 'data'), '--listen', listen]);
    other.close();
    const after = readFileSync(first.kubeconfig, 'utf8');
    own.remove();
    expect(second.stderr).toContain('is in use by another process');
    expect(after).toBe(before);
  });

  it('a database that is none', async () => {
    const own = scratch();
    mkdirSync(join(own.path, 'data'));
    writeFileSync(join(own.path, 'data', 'objects.db'), 'not a database'.repeat(100));
    const result = await metallb(['standalone', '--data-dir', join(own.path, 'data')]);
    own.remove();
    expect([result.status, result.stderr]).toEqual([
      1,
      expect.stringMatching(/the database cannot be opened: file is not a database; put a copy of objects\.db there/),
    ]);
  });
});

describe('doctor', () => {
  it('warns of a pool with an address that this machine has', async () => {
    const own = scratch();
    const api = await startStandalone(own.path, ['--api-only']);
    const headers = {
      authorization: `Bearer ${/token: (\S+)/.exec(readFileSync(api.kubeconfig, 'utf8'))![1]}`,
      'content-type': 'application/json',
    };
    const doctor = async () => {
      const { stdout } = await metallb(['doctor', '-o', 'json', '--kubeconfig', api.kubeconfig]);
      return (JSON.parse(stdout) as { check: string }[]).filter(({ check }) => check === 'pools');
    };
    const before = await doctor();
    const path = '/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools';
    const body = JSON.stringify({ metadata: { name: 'p' }, spec: { addresses: ['127.0.0.0/30'] } });
    const created = await post(`https://127.0.0.1:${api.port}${path}`, headers, body);
    const after = await doctor();
    await api.process.stop();
    own.remove();
    expect(created).toBe(201);
    expect(before).toMatchObject([{ verdict: 'good' }]);
    expect(after).toMatchObject([
      {
        verdict: 'warning',
        detail: expect.stringContaining('IPAddressPool p contains 127.0.0.1, which this node has on lo'),
        cure: 'leave it out of the pool',
      },
    ]);
  });
});

/** The code of the answer. */
function post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { method: 'POST', headers, rejectUnauthorized: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .once('error', reject)
      .end(body);
  });
}

describe('standard input', () => {
  const pools = (name: string) =>
    `apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: ${name}, namespace: metallb-system}\nspec: {addresses: [192.0.2.0/30]}\n`;
  const config = 'address-pools: [{name: p, protocol: layer2, addresses: [192.0.2.0/30]}]\n';
  const empty = () => file('none.yaml', '');

  it.each<[string, () => readonly string[], string, string]>([
    ['convert', () => ['convert', '-f', '-', '--only-data'], config, 'kind: IPAddressPool'],
    ['plan', () => ['plan', '-f', '-', '--dump', empty()], pools('p'), 'No Service'],
    ['a dump', () => ['migrate', '--from', 'purelb', '--dump', '-'], 'kind: List\nitems: []\n', 'nothing to import'],
  ])('is read by %s when it comes late, and in pieces', async (_, args, text, expected) => {
    const child = spawn(process.execPath, ['-e', BESIDE, METALLB, ...args()], {
      stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    });
    let said = '';
    let reader = 0;
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding('utf8').on('data', (chunk) => (said += chunk));
    child.once('message', (pid) => (reader = pid as number));
    let hasEnded = false;
    const ended = new Promise((resolve) => child.once('close', resolve)).then(() => (hasEnded = true));
    await until('it waits for its input', () => hasEnded || (reader > 0 && polls(reader, 0)));
    expect([hasEnded, said]).toEqual([false, '']);
    const half = Math.floor(text.length / 2);
    child.stdin!.write(text.slice(0, half));
    child.stdin!.end(text.slice(half));
    await ended;
    expect(said).toContain(expected);
  });
});

/** Runs a command with this one's standard input, and makes a read that would have to wait an error there, as others who have the same pipe do. */
const BESIDE = `
  const child = require('node:child_process').spawn(process.argv[1], process.argv.slice(2), { stdio: 'inherit' });
  child.once('exit', (code) => process.exit(code));
  process.stdin;
  process.send(child.pid);`;

/** True when the event loop of the process waits for this descriptor. */
function polls(pid: number, descriptor: number): boolean {
  const directory = `/proc/${pid}/fdinfo`;
  return readdirSync(directory).some((name) => {
    try {
      return new RegExp(`^tfd:\\s+${descriptor}\\s`, 'm').test(readFileSync(join(directory, name), 'utf8'));
    } catch {
      return false; // closed meanwhile
    }
  });
}

describe('flags', () => {
  it("may be written in Go's style, and those without effect yet say so in the log", async () => {
    const port = await freePort();
    const args = [
      'controller',
      `-kubeconfig=${file('k', NOWHERE)}`,
      '-port=0',
      `-health-probe-port=${port}`,
      '-webhook-mode=disabled',
      '-webhook-http2',
      '-log-level=info',
    ];
    const running = metallb(args);
    await expect
      .poll(
        () =>
          fetch(`http://127.0.0.1:${port}/healthz`).then(
            (r) => r.status,
            () => 0,
          ),
        { timeout: 600_000 },
      )
      .toBe(200);
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(503);
    await metallb(['--version']);
    const { pid } = await findProcess(`-health-probe-port=${port}`);
    process.kill(pid, 'SIGTERM');
    const result = await running;
    expect(result.status).toBe(0);
    expect(result.stdout).toContain('--webhook-http2 is accepted but has no effect');
  });
});

async function findProcess(text: string): Promise<{ pid: number }> {
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      if (command.includes(text) && command.includes('main.ts')) return { pid: Number(name) };
    } catch {
      // It has ended.
    }
  }
  throw new Error(`no process with ${text}`);
}
