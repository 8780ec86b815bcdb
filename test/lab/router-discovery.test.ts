/**
 * Router discovery between the two ends of a real link.
 * @module
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isInside, prepareInside } from '../../lab/net/sandbox.ts';
import { must } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { PollClock } from '../../src/adapters/driver/poll-clock.ts';
import { RouterDiscovery, type RouterFound } from '../../src/adapters/wire/router-discovery.ts';
import { poll } from '../../src/adapters/wire/syscalls.ts';
import { parseMac } from '../../src/core/net/mac.ts';

if (!isInside()) throw new Error('the lab tests build networks: run them by `npm test`, which gives them a sandbox');

const LEFT = { name: 'left', mac: '02:00:00:00:00:01', address: 'fe80::ff:fe00:1' };
const RIGHT = { name: 'right', mac: '02:00:00:00:00:02', address: 'fe80::ff:fe00:2' };

describe('router discovery', () => {
  const found: RouterFound[] = [];
  const clock = new PollClock();
  const discovery = new RouterDiscovery(
    clock,
    (router) => void found.push(router),
    (on, error) => {
      throw new Error(`${on}: ${error.message}`);
    },
  );

  beforeAll(() => {
    prepareInside();
    must([
      'ip',
      'link',
      'add',
      LEFT.name,
      'address',
      LEFT.mac,
      'type',
      'veth',
      'peer',
      RIGHT.name,
      'address',
      RIGHT.mac,
    ]);
    for (const { name } of [LEFT, RIGHT]) {
      // Duplicate address detection would make us wait for a second or two.
      must(['sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${name}/accept_dad`]);
      must(['ip', 'link', 'set', name, 'up']);
    }
  });
  afterAll(() => discovery.close());

  it('finds the router at the other end, and is not woken by anything else that a neighbor may send', async () => {
    const ping = ['ping', '-6', '-q', '-c', '20', '-i', '0.01', '-t', '255', '-I', LEFT.name, RIGHT.address];
    discovery.set(new Map([[RIGHT.name, parseMac(RIGHT.mac)!]]));
    await until('the ends reach each other', () => {
      const [fd] = discovery.fds;
      discovery.drain();
      must(['sh', '-c', `${ping.join(' ')} || true`]);
      return poll([fd!], 0).length === 0;
    });
    expect(must(ping)).toContain(' 0% packet loss');
    expect(poll(discovery.fds, 0)).toEqual([]);
    discovery.set(
      new Map([
        [LEFT.name, parseMac(LEFT.mac)!],
        [RIGHT.name, parseMac(RIGHT.mac)!],
      ]),
    );
    await until('both are found', () => {
      clock.runDue();
      discovery.drain();
      return found.length >= 2;
    });
    expect(found.map((router) => `${router.interface} ${router.address}`).sort()).toEqual([
      `${LEFT.name} ${RIGHT.address}`,
      `${RIGHT.name} ${LEFT.address}`,
    ]);
  });
});
