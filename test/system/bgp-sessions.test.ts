import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../lab/net/shell.ts';
import { until } from '../../lab/net/waiting.ts';
import { BgpSessions } from '../../src/apps/speaker/bgp-sessions.ts';
import type { PeersOutput } from '../../src/core/bgp/peers/state.ts';
import { established } from '../../src/core/bgp/session/state.ts';
import type { Peer } from '../../src/core/config/config.ts';
import { bgpPeer } from '../builders.ts';

const peer = (name: string, more: Partial<Peer>) => bgpPeer(name, '127.0.0.1', more);

const started: BgpSessions[] = [];
afterEach(() => {
  for (const sessions of started.splice(0)) sessions.feed({ kind: 'stop', why: 'the end of the test' });
});

function start(node: string, listenPort: number) {
  const outputs: PeersOutput[] = [];
  const sessions = new BgpSessions({
    node,
    listenPort,
    onOutput: (output) => outputs.push(output),
    onListenFailed: (why) => {
      throw new Error(why);
    },
  });
  started.push(sessions);
  const want = (...peers: Peer[]) => {
    const routes = { kind: 'snapshot', audience: 1, version: 1, routes: [] } as const;
    const isFirst = sessions.state.audiences.size === 0;
    const plans = peers.map((each) => ({ peer: each, bfd: undefined, audience: 1 }));
    sessions.feed({ kind: 'wanted', plans, routes: isFirst ? [routes] : [] });
  };
  const isUp = (name: string) => {
    const session = sessions.session(name);
    return session !== undefined && established(session) !== undefined;
  };
  const whys = () =>
    outputs.flatMap((output) => {
      if (output.kind === 'attempt-failed') return [output.why];
      return output.kind === 'session' && output.output.kind === 'session-down' ? [output.output.why] : [];
    });
  return { sessions, want, isUp, whys };
}

describe('BGP sessions over TCP', () => {
  it('stand between two nodes, one of which waits, and end when one of them stops', async () => {
    const port = await freePort();
    const [speaker, router] = [start('speaker', 0), start('router', port)];
    router.want(peer('speaker', { myASN: 64501, peerASN: 64500, passive: true }));
    speaker.want(peer('router', { port }));
    await until('both are up', () => speaker.isUp('router') && router.isUp('speaker'));
    expect(speaker.sessions.ends('router', 'ours')).toMatchObject({ remotePort: port });
    router.sessions.feed({ kind: 'stop', why: 'new disks' });
    await until('the speaker has heard', () => !speaker.isUp('router'));
    expect(speaker.whys()).toEqual(['the router says: cease: administrative shutdown ("new disks")']);
  });

  it('come again after a change that they do not live through', async () => {
    const port = await freePort();
    const [speaker, router] = [start('speaker', 0), start('router', port)];
    router.want(peer('speaker', { myASN: 64501, peerASN: 64500, passive: true }));
    speaker.want(peer('router', { port }));
    await until('it is up', () => speaker.isUp('router') && router.isUp('speaker'));
    speaker.want(peer('router', { port, holdTime: 30_000 }));
    expect(speaker.whys()).toEqual(['the BGPPeer was changed: holdTime']);
    await until('it is up again', () => speaker.isUp('router') && router.isUp('speaker'));
    expect(router.whys()).toEqual(['the router says: cease: other configuration change']);
  });

  it('say why a router cannot be reached, and that a password is too long to be one', async () => {
    const speaker = start('speaker', 0);
    const port = await freePort();
    const password = { encoding: 'utf8', text: 'x'.repeat(81) } as const;
    speaker.want(peer('nobody', { port }), peer('secret', { port, password }));
    await until('both have failed', () => speaker.whys().length >= 2);
    expect(speaker.whys().join('\n')).toMatch(/the router refuses the connection/);
    expect(speaker.whys()).toContain('the password has 81 bytes, and TCP MD5 takes 80 at most');
  });
});
