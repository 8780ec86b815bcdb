/**
 * Speakers on a real LAN, and a stranger on it who has no key; and the keys of the speakers, exchanged while they watch each other.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Cluster } from '../../lab/kubernetes/cluster.ts';
import type { LanHost } from '../../lab/net/lan.ts';
import { isInside, prepareInside } from '../../lab/net/sandbox.ts';
import { until } from '../../lab/net/waiting.ts';

if (!isInside()) throw new Error('the lab tests build networks: run them by `npm test`, which gives them a sandbox');

const PORT = 7946;
/** Datagrams a second, and seconds. */
const RATE = Number(process.env.METALLB_TEST_FLOOD ?? 100_000);
const SECONDS = 5;

describe('speakers that watch each other', () => {
  const directory = mkdtempSync(join(tmpdir(), 'metallb-lab-'));
  let cluster: Cluster;
  /** Length of each log when the case began. */
  let begun = new Map<string, number>();
  const log = (node: LanHost) => readFileSync(join(directory, `speaker-${node.name}.log`), 'utf8');
  /** What a speaker has logged in this case. */
  const events = (node: LanHost) =>
    log(node)
      .slice(begun.get(node.name))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { event?: string; state?: string; node?: string; keys?: number });
  /** Who is called dead or unsteady, or takes itself to be cut off. */
  const verdicts = () =>
    cluster.nodes.flatMap((node) =>
      events(node)
        .filter(({ event, state = '' }) => event === 'isolation' || ['dead', 'unsteady'].includes(state))
        .map(({ event, state, node: about }) => `${node.name}: ${event} ${about} ${state}`),
    );
  /** Datagrams that the kernel has not given to the speaker. */
  const dropped = (node: LanHost) => {
    const line = node
      .run(['cat', '/proc/net/udp'])
      .stdout.split('\n')
      .find((each) => each.includes(`:${PORT.toString(16).toUpperCase()} `));
    return Number(line?.trim().split(/\s+/).at(-1));
  };

  beforeAll(async () => {
    prepareInside();
    cluster = new Cluster({ directory, nodes: 3 });
    await cluster.startAll();
  });
  beforeEach(() => {
    begun = new Map(cluster.nodes.map((node) => [node.name, log(node).length]));
  });
  afterAll(async () => {
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it(`judge as before while a stranger sends ${RATE} datagrams a second to the port of one`, async () => {
    const [victim] = cluster.nodes as [LanHost];
    const script = resolve(import.meta.dirname, '../../lab/net/flooder.ts');
    const { stdout, stderr } = await cluster.client.runAsync(
      [process.execPath, script, victim.address, PORT, RATE, SECONDS].map(String),
    );
    expect(Number(stdout), stderr).toBe(RATE * SECONDS);
    expect(dropped(victim)).toBeGreaterThan((RATE * SECONDS) / 2);
    expect(verdicts()).toEqual([]);
  });

  it('keep their keys when the file becomes empty, and say so', async () => {
    const [node] = cluster.nodes as [LanHost];
    cluster.writeKeys(node, { secretkey: '' });
    await until('the warning', () => events(node).some(({ event }) => event === 'livenessKeysNotTaken'));
    expect(events(node).filter(({ event }) => event === 'livenessKeys')).toEqual([]);
    expect(verdicts()).toEqual([]);
  });

  it('judge as before while their key is exchanged, one after the other', async () => {
    const old = readFileSync(join(cluster.keyDirectory(cluster.nodes[1]!), 'secretkey'), 'utf8');
    const key = randomBytes(16).toString('base64');
    const steps: readonly Readonly<Record<string, string>>[] = [
      { secretkey: old, 'secretkey-next': key },
      { secretkey: key, 'secretkey-previous': old },
      { secretkey: key },
    ];
    for (const [i, keys] of steps.entries())
      for (const node of cluster.nodes) {
        cluster.writeKeys(node, keys);
        const count = Object.keys(keys).length;
        await until(`the speaker on ${node.name} has taken the keys of step ${i + 1}`, () => {
          const taken = events(node).filter(({ event }) => event === 'livenessKeys');
          return taken.length > i && taken.at(-1)?.keys === count;
        });
      }
    expect(verdicts()).toEqual([]);
    // By the new key alone they still tell the living from the dead.
    const [one, two, third] = cluster.nodes as [LanHost, LanHost, LanHost];
    cluster.speakers.get(third.name)?.kill('SIGKILL');
    const death = [one, two].map(({ name }) => `${name}: nodeChanged ${third.name} dead`);
    await until('the death is known', () => verdicts().length >= death.length);
    expect(verdicts()).toEqual(death);
  });
});
