/**
 * An API server in which nothing happens: its lists are empty, its watches open and stay silent, and it sends no bookmarks.
 * Arguments: the address to listen at, and files with certificate and key. Port 6443.
 * @module
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const [, , address, certificate, key] = process.argv;

const server = createServer({ cert: readFileSync(certificate!), key: readFileSync(key!) }, (request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  if (new URL(request.url!, 'https://server').searchParams.get('watch') === 'true') response.flushHeaders();
  else response.end(JSON.stringify({ kind: 'List', apiVersion: 'v1', metadata: { resourceVersion: '1' }, items: [] }));
});
server.listen(6443, address, () => console.log('listening'));
