/**
 * The health port of a process: `/healthz` and `/readyz` (behaviour reference §6.1), and `/metrics` on a port of its own.
 * @module
 */
import { type HttpRequest, type HttpResponse, type HttpServer, serve } from './server.ts';

/** `isReady`: the process has seen the whole of what it watches. */
export function serveHealth(host: string, port: number, isReady: () => boolean): Promise<HttpServer> {
  return serve({ host, port }, ({ path }: HttpRequest): HttpResponse => {
    if (path === '/healthz') return plain(200, 'ok\n');
    if (path === '/readyz') return isReady() ? plain(200, 'ok\n') : plain(503, 'not synced with the API server yet\n');
    return plain(404, 'not found\n');
  });
}

function plain(status: number, body: string): HttpResponse {
  return { status, headers: { 'content-type': 'text/plain' }, body };
}
