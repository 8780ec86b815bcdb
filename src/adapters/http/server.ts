/**
 * An HTTP(S) server that turns requests into plain data and plain data into answers.
 * @module
 */
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface HttpRequest {
  readonly method: string;
  /** As it came; it can be decoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Goes on until it ends or the client disconnects (`signal`), as fast as the client reads. If it throws, the connection is cut. */
  readonly stream?: (signal: AbortSignal) => AsyncIterable<string>;
}

/** Certificate and key in PEM. */
export interface Tls {
  readonly cert: string;
  readonly key: string;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/** An answer in plain text. */
export function plain(status: number, body: string): HttpResponse {
  return { status, headers: { 'content-type': 'text/plain' }, body };
}

export interface HttpServer {
  readonly port: number;
  /** Replaces the certificate for new connections. Only for a server that was started with TLS. */
  renew(tls: Tls): void;
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls?: Tls;
  /** Bytes of a request's body; default 3 MiB, the limit of kube-apiserver. */
  readonly longestBody?: number;
  /** A client that reads nothing of a stream for this long is cut off, in milliseconds; default one minute. */
  readonly stalledAfter?: number;
}

const LONGEST_BODY = 3 * 1024 * 1024;

const STALLED_AFTER = 60_000;

/** Starts listening. Rejects with the system's error (EADDRINUSE, EACCES …) when it cannot. */
export async function serve(
  options: ListenOptions,
  handle: (request: HttpRequest) => Promise<HttpResponse> | HttpResponse,
): Promise<HttpServer> {
  const listener = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    respond(incoming, outgoing, handle, options).catch(() => outgoing.destroy());
  };
  const server: Server = options.tls === undefined ? createHttp(listener) : createHttps({ ...options.tls }, listener);
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    renew: (tls) => (server as HttpsServer).setSecureContext(tls),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handle: (request: HttpRequest) => Promise<HttpResponse> | HttpResponse,
  { stalledAfter = STALLED_AFTER, longestBody = LONGEST_BODY }: ListenOptions,
): Promise<void> {
  const body = await readBody(incoming, longestBody);
  if (body === undefined) {
    outgoing.writeHead(413).end('request body too large\n');
    return;
  }
  const url = urlOf(incoming.url ?? '/');
  if (url === undefined) {
    outgoing.writeHead(400).end('the request target is not a valid URL\n');
    return;
  }
  const response = await handle({
    method: incoming.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    headers: incoming.headers,
    body,
  });
  outgoing.writeHead(response.status, { ...response.headers });
  if (response.stream === undefined) {
    outgoing.end(response.body);
    return;
  }
  outgoing.flushHeaders();
  const gone = new AbortController();
  outgoing.once('close', () => gone.abort());
  for await (const chunk of response.stream(gone.signal)) {
    if (!outgoing.write(chunk)) await drained(outgoing, stalledAfter);
    if (gone.signal.aborted) return;
  }
  outgoing.end();
}

/** Resolves when the client has read what was written, or is gone. One that reads nothing is cut off. */
async function drained(outgoing: ServerResponse, stalledAfter: number): Promise<void> {
  if (outgoing.destroyed) return;
  outgoing.setTimeout(stalledAfter, () => outgoing.destroy());
  await new Promise<void>((resolve) => {
    const done = () => {
      outgoing.off('drain', done).off('close', done);
      resolve();
    };
    outgoing.once('drain', done).once('close', done);
  });
  outgoing.setTimeout(0).removeAllListeners('timeout');
}

/** Undefined for what cannot be decoded. */
function urlOf(target: string): URL | undefined {
  try {
    const url = new URL(target.startsWith('/') ? `http://server${target}` : target);
    decodeURIComponent(url.pathname);
    return url;
  } catch {
    return undefined;
  }
}

/** Undefined for one that is too long. */
async function readBody(incoming: IncomingMessage, longest: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > longest) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
