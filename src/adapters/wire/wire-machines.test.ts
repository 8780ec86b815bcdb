import { describe, expect, it } from 'vitest';
import { encodeArp } from '../../core/layer2/arp-codec.ts';
import type { Interface } from '../../core/layer2/messages.ts';
import { parseAddress } from '../../core/net/address.ts';
import { BROADCAST_MAC } from '../../core/net/mac.ts';
import type { Clock } from '../driver/clock.ts';
import { LINK_INTERVAL, type Links } from './links.ts';
import type { FromWire } from './messages.ts';
import { WireMachines, type WirePorts } from './wire-machines.ts';

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

/** Two nodes on one wire that both own an address, with virtual time; sealed messages get through or not. */
function twoNodes() {
  let now = 0;
  let isCut = false;
  let timers: { readonly at: number; readonly run: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    at: (at, run) => {
      const timer = { at: Math.max(at, now), run };
      timers.push(timer);
      return () => {
        timers = timers.filter((each) => each !== timer);
      };
    },
  };
  const later = (run: () => void) => void clock.at(now + 1, run);
  const told: string[] = [];
  const names = ['node-1', 'node-2'];
  const nodes: WireMachines[] = names.map((self, i) => {
    const other = () => nodes[1 - i]!;
    const layer2 = { refreshInterval: 0, probeBeforeUse: false, answerPing: false };
    const liveness = { self, incarnation: 1n, interval: 100, misses: 3, fenced: false };
    const ports: WirePorts = {
      clock,
      readLinks: () => linksOf({ ...link(1), mac: Uint8Array.of(2, 0, 0, 0, 1, i) }),
      openLinks: (opened) => opened,
      sendFrame: ({ bytes }) => later(() => other().frameReceived(1, bytes)),
      joinGroups: () => {},
      sendMessage: (message) => {
        if (!isCut) later(() => other().messageReceived(message));
      },
      report: (fact) => {
        if (fact.kind === 'disputed') told.push(`${self} ${fact.yielded ? 'yields to' : 'keeps from'} ${fact.node}`);
        if (fact.kind === 'dispute-ended') told.push(`${self}: over`);
      },
    };
    return new WireMachines({ layer2, liveness }, ports);
  });
  const members = names.map((node, i) => ({ node, address: `192.0.2.${i + 1}` }));
  const address = parseAddress('192.0.2.200')!;
  return {
    told,
    pass: (milliseconds: number) => {
      for (const end = now + milliseconds; now < end; ) {
        const next = timers.reduce((first, timer) => (timer.at < first.at ? timer : first), { at: end, run: () => {} });
        now = next.at;
        timers = timers.filter((each) => each !== next);
        next.run();
      }
    },
    start: (ready = names) => {
      for (const each of nodes) each.take({ kind: 'members', members });
      for (const [i, each] of nodes.entries()) if (ready.includes(names[i]!)) each.take({ kind: 'ready' });
    },
    announce: (i: number, isOurs: boolean) => {
      const announcement = { address };
      const lists = isOurs
        ? { announcements: [announcement], handingOver: [] }
        : { announcements: [], handingOver: [announcement] };
      nodes[i]!.take({ kind: 'announce', ...lists });
    },
    cut: () => {
      isCut = true;
    },
    answering: () => names.filter((_, i) => nodes[i]!.holds('192.0.2.200')),
  };
}

describe('two nodes that both announce an address', () => {
  it('settle it in their messages, and both say who is silent, until one lets go', () => {
    const { start, pass, announce, answering, told } = twoNodes();
    start();
    pass(2000);
    for (const i of [0, 1]) announce(i, true);
    pass(2000);
    expect([answering(), told.splice(0).sort()]).toEqual([
      ['node-1'],
      ['node-1 keeps from node-2', 'node-2 yields to node-1'],
    ]);
    pass(60_000);
    expect([answering(), told.splice(0)]).toEqual([['node-1'], []]);
    announce(0, false);
    pass(100);
    expect([answering(), told.splice(0).sort()]).toEqual([['node-2'], ['node-1: over', 'node-2: over']]);
  });

  it('do not take it for a dispute while one of them starts', () => {
    const { start, pass, announce, told, answering } = twoNodes();
    start(['node-1']);
    pass(2000);
    announce(0, true);
    announce(1, true);
    pass(3000);
    expect([answering(), told]).toEqual([['node-1', 'node-2'], []]);
  });

  it('both go on while no message gets through: what the wire says is nobody’s word', () => {
    const { start, pass, announce, answering, cut } = twoNodes();
    start();
    pass(2000);
    cut();
    for (const i of [0, 1]) announce(i, true);
    pass(3000);
    expect(answering()).toEqual(['node-1', 'node-2']);
  });
});

it('without a speaker list an address that is handed over goes to whoever claims it', () => {
  const { machines, runAt, change } = setUp();
  const address = parseAddress('192.0.2.200')!;
  machines.take({ kind: 'announce', announcements: [], handingOver: [{ address }] });
  const successor = Uint8Array.of(2, 0, 0, 0, 0, 9);
  const claim = encodeArp({
    destination: BROADCAST_MAC,
    source: successor,
    operation: 'reply',
    senderMac: successor,
    senderAddress: address,
    targetMac: BROADCAST_MAC,
    targetAddress: address,
  });
  change(linksOf(link(1)));
  machines.frameReceived(1, claim);
  expect(machines.owned).toEqual(['192.0.2.200']);
  runAt(0);
  expect(machines.owned).toEqual([]);
});

it('goes on when something cannot be sent, and says so', () => {
  const faults: string[] = [];
  const sent: string[] = [];
  const settings = { self: 'a', incarnation: 1n, interval: 100, misses: 3, fenced: false };
  const machines = new WireMachines(
    { layer2: { refreshInterval: 0, probeBeforeUse: false, answerPing: false }, liveness: settings },
    {
      clock: { now: () => 0, at: () => () => {} },
      readLinks: () => linksOf(),
      openLinks: (links) => links,
      sendFrame: () => {},
      joinGroups: () => {},
      sendMessage: (_, { node }) => {
        if (node === 'b') throw new RangeError('does not fit');
        sent.push(node);
      },
      report: () => {},
      onFault: (where, error) => faults.push(`${where}: ${(error as Error).message}`),
    },
  );
  machines.take({ kind: 'members', members: ['a', 'b', 'c'].map((node) => ({ node, address: '192.0.2.1' })) });
  expect(faults).toEqual(['liveness: does not fit']);
  expect(sent).toEqual(['c']);
});
