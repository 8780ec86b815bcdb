import { request } from 'node:http';
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
