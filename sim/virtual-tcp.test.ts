import { expect, it } from 'vitest';
import type { Stream } from '../src/adapters/wire/stream-connection.ts';
import { parseAddress } from '../src/core/net/address.ts';
import { VirtualClock } from './clock.ts';
import { Random } from './random.ts';
import { VirtualLan } from './virtual-lan.ts';
import { VirtualProcess } from './virtual-process.ts';
import { VirtualNetwork } from './virtual-tcp.ts';

/** A client that is connected to a server. */
function connected() {
  const clock = new VirtualClock();
  const random = new Random(1);
  const lan = new VirtualLan(clock, random, 0);
  const world = { clock, random, lan, onBreach: (text: string) => expect.fail(text) };
  const network = new VirtualNetwork(world);
  const launch = (name: string) => new VirtualProcess(world, name);
  const [client, server] = [network.host('client', '192.0.2.1'), network.host('server', '192.0.2.2')];
  const processes = { client: launch('client'), server: launch('server') };
  const clients = client.start(processes.client);
  const heard = { client: [] as string[], server: [] as string[] };
  const listen = (name: 'client' | 'server', stream: Stream) => {
    stream.on('data', (data) => heard[name].push(data.toString()));
    stream.on('error', ({ code }) => heard[name].push(String(code)));
    stream.on('close', () => heard[name].push('close'));
    return stream;
  };
  const serve = () =>
    server.start(processes.server).listen('ipv4', 179, (stream) => {
      streams.server = listen('server', stream);
    });
  const streams: Partial<Record<'client' | 'server', Stream>> = {};
  const results: string[] = [];
  const connect = () => {
    const unused = { source: undefined, device: '', md5: undefined };
    clients.connect({ address: parseAddress('192.0.2.2')!, port: 179, ...unused }, (result) => {
      results.push(result.ok ? 'connected' : result.code);
      if (result.ok) streams.client = listen('client', result.socket);
    });
  };
  const pass = (milliseconds: number) => clock.runUntil(clock.now() + milliseconds, () => {});
  return { lan, processes, server, serve, connect, results, streams, heard, pass, launch };
}

it('a connection is refused where nobody listens, and tried again where nobody answers', () => {
  const { connect, server, serve, results, pass, processes } = connected();
  connect();
  pass(500);
  expect(results).toEqual([]);
  server.start(processes.server);
  pass(1000);
  expect(results).toEqual(['ECONNREFUSED']);
  serve();
  connect();
  pass(100);
  expect(results).toEqual(['ECONNREFUSED', 'connected']);
});

it('what is written in a cut arrives after it, in order, and the end of it last', () => {
  const { connect, serve, lan, streams, heard, pass } = connected();
  serve();
  connect();
  pass(100);
  lan.cut(1000, () => true);
  for (const text of ['one ', 'two ', 'three']) streams.client!.write(Buffer.from(text));
  streams.client!.destroySoon();
  pass(999);
  expect(heard.server).toEqual([]);
  pass(3000);
  expect(heard.server.at(-1)).toBe('close');
  expect(heard.server.slice(0, -1).join('')).toBe('one two three');
  expect(heard.client).toEqual([]);
});

it('a killed process is heard of at once, a node without power when it is back', () => {
  const { connect, serve, server, streams, heard, pass, launch, processes } = connected();
  serve();
  connect();
  pass(100);
  server.powerOff();
  streams.client!.write(Buffer.from('lost'));
  pass(10_000);
  expect(heard.client).toEqual([]);
  server.start(launch('next'));
  pass(20_000);
  expect(heard).toEqual({ client: ['ECONNRESET', 'close'], server: [] });
  serve();
  connect();
  pass(100);
  processes.server.kill();
  server.processGone();
  pass(10);
  expect(heard.client.slice(2)).toEqual(['close']);
});

it('a process that sleeps takes connections, and hears when it wakes what was said', () => {
  const { connect, serve, streams, results, heard, pass, processes } = connected();
  serve();
  processes.server.sleep(5000);
  connect();
  pass(100);
  expect(results).toEqual(['connected']);
  streams.client!.write(Buffer.from('hello'));
  pass(4000);
  expect(heard.server).toEqual([]);
  pass(1000);
  expect(heard.server.join('')).toBe('hello');
});
