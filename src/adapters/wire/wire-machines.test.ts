import { describe, expect, it } from 'vitest';
import type { Interface } from '../../core/layer2/messages.ts';
import { parseAddress } from '../../core/net/address.ts';
import type { Clock } from '../driver/clock.ts';
import { LINK_INTERVAL, type Links } from './links.ts';
import type { FromWire } from './messages.ts';
import { WireMachines } from './wire-machines.ts';

const link = (index: number): Interface => ({
  name: `eth${index}`,
  index,
  mac: Uint8Array.of(2, 0, 0, 0, 0, index),
  arp: true,
  ndp: true,
});

function linksOf(...fit: readonly Interface[]): Links {
  return { names: fit.map(({ name }) => name), fit, gateways: [] };
}

/** Machines that own an address on eth1; nothing runs that is not asked for. */
function setUp() {
  let links = linksOf(link(1));
  let timers: { readonly at: number; readonly run: () => void }[] = [];
  const clock: Clock = {
    now: () => 0,
    at: (at, run) => {
      const timer = { at, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((each) => each !== timer);
      };
    },
  };
  /** In order: what was opened, sent and reported. */
  const done: string[] = [];
  const facts: FromWire[] = [];
  const layer2 = { refreshInterval: 0, probeBeforeUse: false, answerPing: false };
  const machines = new WireMachines(
    { layer2, liveness: undefined },
    {
      clock,
      readLinks: () => links,
      openLinks: (opened) => {
        done.push(`open ${opened.map(({ name }) => name).join(' ')}`);
        return opened;
      },
      sendFrame: ({ interface: index }) => void done.push(`send on eth${index}`),
      joinGroups: () => {},
      sendMessage: () => {},
      report: (fact) => {
        facts.push(fact);
        if (fact.kind === 'links') done.push(`report ${fact.names.join(' ')}`);
      },
    },
  );
  const address = parseAddress('192.0.2.200')!;
  machines.take({ kind: 'announce', announcements: [{ address }], handingOver: [] });
  return {
    machines,
    done,
    facts,
    change: (to: Links) => {
      links = to;
      done.length = 0;
    },
    /** Lets the timer at this moment run. */
    runAt: (moment: number) => {
      const due = timers.filter(({ at }) => at === moment);
      timers = timers.filter(({ at }) => at !== moment);
      for (const { run } of due) run();
    },
    timers: () => timers.length,
  };
}

describe('the links of the wire', () => {
  it('are read, opened and reported at the start', () => {
    expect(setUp().done.slice(0, 2)).toEqual(['open eth1', 'report eth1']);
  });

  it('are announced on as soon as netlink says so, with no word of the main thread', () => {
    const { machines, done, change } = setUp();
    change(linksOf(link(1), link(2)));
    machines.linksChanged();
    expect(done[0]).toBe('open eth1 eth2');
    expect(done).toContain('send on eth2');
    expect(done).toContain('report eth1 eth2');
  });

  it('are reported only when they differ', () => {
    const { machines, done, change } = setUp();
    change(linksOf(link(1)));
    machines.linksChanged();
    expect(done).toEqual([]);
    const gateways = [{ address: '192.0.2.1', interface: 'eth1' }];
    change({ ...linksOf(link(1)), gateways });
    machines.linksChanged();
    expect(done).toContain('report eth1');
  });

  it('are looked at from time to time without netlink', () => {
    const { done, change, runAt } = setUp();
    change(linksOf());
    runAt(LINK_INTERVAL);
    expect(done).toContain('report ');
  });

  it('are not looked at once it has stopped', () => {
    const { machines, timers } = setUp();
    machines.stop();
    expect(timers()).toBe(0);
  });
});
