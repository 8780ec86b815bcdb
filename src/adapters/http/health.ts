/**
 * The health port of a process: `/healthz` and `/readyz` (docs/behaviour/metrics.md), and `/metrics` on a port of its own.
 * @module
 */
import { type HttpRequest, type HttpResponse, type HttpServer, plain, serve } from './server.ts';

/** What `/readyz` says. */
export interface Readiness {
  readonly ready: boolean;
  /** What the process is doing or waiting for. */
  readonly state: string;
}

export function serveHealth(host: string, port: number, readiness: () => Readiness): Promise<HttpServer> {
  return serve({ host, port }, ({ path }: HttpRequest): HttpResponse => {
    if (path === '/healthz') return plain(200, 'ok\n');
    if (path !== '/readyz') return plain(404, 'not found\n');
    const { ready, state } = readiness();
    return plain(ready ? 200 : 503, `${ready ? 'ok' : 'not ready'}: ${state}\n`);
  });
}
