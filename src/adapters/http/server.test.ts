import { type IncomingMessage, get as open, request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HttpServer, plain, serve } from './server.ts';

let server: HttpServer;
beforeEach(async () => {
  server = await serve({ host: '127.0.0.1', port: 0 }, ({ path, query }) => plain(200, `${path} ${query}`));
});
afterEach(() => server.close());

/** Code and body of the answer to a request for this target, whatever it is. */
function get(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = server;
    request({ host: '127.0.0.1', port, path, agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text) => (body += text));
      answer.once('end', () => resolve(`${answer.statusCode} ${body}`));
    })
      .once('error', reject)
      .end();
  });
}

describe('the target of a request', () => {
  it.each([
    ['/a/b?c=d', '200 /a/b c=d'],
    ['/%41', '200 /%41 '],
    ['//', '200 // '],
    ['//a:b', '200 //a:b '],
    ['http://x/a', '200 /a '],
    ['/?a=%zz', '200 / a=%25zz'],
    ['/%zz', '400 the request target is not a valid URL\n'],
    ['/a/%', '400 the request target is not a valid URL\n'],
    ['/%ff', '400 the request target is not a valid URL\n'],
    ['*', '400 the request target is not a valid URL\n'],
  ])('%s is answered with %j', async (target, answer) => {
    expect(await get(target)).toBe(answer);
  });
});

describe('the body of a request', () => {
  const MIB = 1024 * 1024;
  const post = (port: number, bytes: number) =>
    fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: new Uint8Array(bytes) });

  it('has 3 MiB at most, and a client that sends more is told so', async () => {
    expect((await post(server.port, 3 * MIB)).status).toBe(200);
    const refused = await post(server.port, 3 * MIB + 1);
    expect([refused.status, await refused.text()]).toEqual([413, 'request body too large\n']);
    expect((await post(server.port, 30 * MIB)).status).toBe(413);
  });

  it('has what the listener allows', async () => {
    const own = await serve({ host: '127.0.0.1', port: 0, longestBody: 4 * MIB }, ({ body }) =>
      plain(200, `${body.length}`),
    );
    try {
      expect(await (await post(own.port, 4 * MIB)).text()).toBe(`${4 * MIB}`);
      expect((await post(own.port, 4 * MIB + 1)).status).toBe(413);
    } finally {
      await own.close();
    }
  });
});

describe('a stream', () => {
  const PIECE = 'x'.repeat(1024 * 1024);
  let given = 0;
  let end: 'none' | 'returned' | 'thrown' = 'none';
  async function* pieces(count: number): AsyncGenerator<string> {
    try {
      for (given = 0; given < count; given++) yield PIECE;
      end = 'returned';
    } finally {
      if (end === 'none') end = 'thrown';
    }
  }
  /** The answer, of which nothing is read yet. */
  const answerOf = (count: number) => {
    end = 'none';
    return new Promise<IncomingMessage>((resolve, reject) => {
      const handle = () => ({ status: 200, stream: () => pieces(count) });
      serve({ host: '127.0.0.1', port: 0, stalledAfter: 50 }, handle).then((own) => {
        servers.push(own);
        open({ host: '127.0.0.1', port: own.port, agent: false }, resolve).once('error', reject);
      }, reject);
    });
  };
  const servers: HttpServer[] = [];
  afterEach(async () => {
    for (const own of servers.splice(0)) await own.close();
  });

  it('reaches a client that reads as a whole', async () => {
    let size = 0;
    for await (const chunk of await answerOf(40)) size += (chunk as Buffer).length;
    expect([size, end]).toEqual([40 * PIECE.length, 'returned']);
  });

  it('is made no faster than it is read, and is cut off when nobody reads', async () => {
    const answer = await answerOf(1000);
    const cut = new Promise((resolve) => answer.once('close', resolve).once('error', () => {}));
    await expect.poll(() => end, { timeout: 600_000 }).toBe('thrown');
    // Some of it is in the buffers of the kernel and of both programs.
    expect(given).toBeLessThan(100);
    answer.resume();
    await cut;
    expect(answer.complete).toBe(false);
  });
});
