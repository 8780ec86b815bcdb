/**
 * A client of the Kubernetes API over HTTP.
 * @module
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import type { Cancel } from '../driver/clock.ts';
import { AdapterError, firstLine, systemCode } from '../errors.ts';
import type { Connection } from './connection.ts';
import type { ApiAnswer, ApiFailure, ApiRequest, ApiTransport, WatchHandlers } from './transport.ts';

/** A request that failed. `status` is the HTTP status, or 0 without a response. */
export class ApiError extends AdapterError {
  readonly status: number;
  readonly reason: string;
  /** The reasons in `details.causes` of the Status, for example NamespaceTerminating. */
  readonly causes: readonly string[];

  constructor(status: number, reason: string, message: string, cause?: unknown, causes: readonly string[] = []) {
    super('kubernetes-api', message, cause);
    this.status = status;
    this.reason = reason;
    this.causes = causes;
  }
}

export const MERGE_PATCH = 'application/merge-patch+json';
export const JSON_PATCH = 'application/json-patch+json';
export const APPLY_PATCH = 'application/apply-patch+yaml';

/** Timeout of a request that is not a watch, in milliseconds. */
const REQUEST_TIMEOUT = 30_000;

export class KubernetesClient implements ApiTransport {
  readonly #connection: Connection;
  readonly #userAgent: string;
  readonly #onRequest: (verb: string) => void;
  readonly #readsOnly: boolean;

  /** `onRequest` is called with the verb of every request. With `readsOnly`, requests that would change something are refused. */
  constructor(
    connection: Connection,
    userAgent: string,
    onRequest: (verb: string) => void = () => {},
    readsOnly = false,
  ) {
    this.#connection = connection;
    this.#userAgent = userAgent;
    this.#onRequest = onRequest;
    this.#readsOnly = readsOnly;
  }

  get server(): string {
    return this.#connection.server.origin;
  }

  /** Sends a request and returns the JSON response. Rejects with ApiError. */
  async request<T = KubernetesObject>(request: ApiRequest): Promise<T> {
    if (this.#readsOnly && !isHarmless(request))
      throw new ApiError(0, 'ReadsOnly', `${describe(request)}: this process only reads`);
    const signal = AbortSignal.any([AbortSignal.timeout(REQUEST_TIMEOUT), ...(request.signal ? [request.signal] : [])]);
    const answer = await this.#send({ ...request, signal }, false);
    const text = await readAll(answer);
    if (answer.statusCode! >= 300) throw this.#refusal(answer.statusCode!, text, request);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new ApiError(0, 'BadAnswer', `${describe(request)}: the answer is not JSON`, error);
    }
  }

  send<T = KubernetesObject>(request: ApiRequest, onAnswer: (answer: ApiAnswer<T>) => void): Cancel {
    const { signal, cancel, isCancelled } = cancellable();
    const answer = (given: ApiAnswer<T>) => {
      if (!isCancelled()) onAnswer(given);
    };
    this.request<T>({ ...request, signal }).then(
      (body) => answer({ ok: true, body }),
      (error: unknown) => answer({ ok: false, failure: failureOf(error) }),
    );
    return cancel;
  }

  open(request: ApiRequest, { onOpen, onEvent, onClose }: WatchHandlers): Cancel {
    const { signal, cancel, isCancelled } = cancellable();
    const unlessCancelled = (call: () => void) => {
      if (!isCancelled()) call();
    };
    this.watch(
      { ...request, signal },
      () => unlessCancelled(onOpen),
      (type, object) => unlessCancelled(() => onEvent(type, object)),
    ).then(
      () => unlessCancelled(() => onClose(undefined)),
      (error: unknown) => unlessCancelled(() => onClose(failureOf(error))),
    );
    return cancel;
  }

  /** All objects of a collection at once. Rejects with ApiError. */
  async list(path: string, query?: ApiRequest['query']): Promise<readonly KubernetesObject[]> {
    const { items = [] } = await this.request<{ items?: readonly KubernetesObject[] }>({
      path,
      ...(query !== undefined && { query }),
    });
    return items;
  }

  /** Deletes an object. False: it, or its kind, does not exist. Rejects with ApiError. */
  async remove(path: string, query?: ApiRequest['query']): Promise<boolean> {
    try {
      await this.request({ method: 'DELETE', path, ...(query !== undefined && { query }) });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  }

  /** The API server's time in milliseconds since 1970, to the second; undefined without a Date header. Rejects with ApiError. */
  async serverTime(): Promise<number | undefined> {
    const answer = await this.#send({ path: '/version', signal: AbortSignal.timeout(REQUEST_TIMEOUT) }, false);
    answer.resume();
    const time = Date.parse(answer.headers.date ?? '');
    return Number.isNaN(time) ? undefined : time;
  }

  /** Opens a watch and calls back for every event. Resolves when the server closes it. Rejects with ApiError. */
  async watch(
    request: ApiRequest,
    opened: () => void,
    onEvent: (type: string, object: KubernetesObject) => void,
  ): Promise<void> {
    const answer = await this.#send(request, true);
    if (answer.statusCode! >= 300) throw this.#refusal(answer.statusCode!, await readAll(answer), request);
    opened();
    let rest = '';
    answer.setEncoding('utf8');
    try {
      for await (const chunk of answer as AsyncIterable<string>) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          if (line === '') continue;
          const { type, object } = JSON.parse(line) as { type: string; object: KubernetesObject };
          onEvent(type, object);
        }
      }
    } catch (error) {
      throw noAnswer(request, error);
    }
  }

  async #send(request: ApiRequest, forWatch: boolean): Promise<IncomingMessage> {
    let credentials: Awaited<ReturnType<Connection['credentials']>>;
    try {
      credentials = await this.#connection.credentials();
    } catch (error) {
      this.#connection.forgetCredentials();
      throw new ApiError(0, 'NoCredentials', `cannot get credentials for ${this.server}: ${firstLine(error)}`, error);
    }
    this.#onRequest(forWatch ? 'WATCH' : (request.method ?? 'GET'));
    const { server } = this.#connection;
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const send = server.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      let answered: IncomingMessage | undefined;
      const outgoing = send(
        {
          protocol: server.protocol,
          hostname: server.hostname.replace(/^\[|\]$/g, ''),
          port: server.port,
          path: `${server.pathname.replace(/\/$/, '')}${request.path}${queryText(request.query)}`,
          method: request.method ?? 'GET',
          agent: forWatch ? credentials.watchAgent : credentials.agent,
          ...(credentials.auth !== undefined && { auth: credentials.auth }),
          headers: {
            ...(credentials.headers as Record<string, string> | undefined),
            accept: 'application/json',
            'user-agent': this.#userAgent,
            ...(body !== undefined && {
              'content-type': request.contentType ?? 'application/json',
              'content-length': String(Buffer.byteLength(body)),
            }),
          },
          ...(request.signal !== undefined && { signal: request.signal }),
        },
        (answer) => {
          answered = answer;
          resolve(answer);
        },
      );
      outgoing.on('error', (error) => {
        // Passes the error on to the reader of the response.
        if (answered !== undefined) answered.destroy(error);
        // The server closed an idle connection just as we reused it, so it did not see the request: retry.
        else if (outgoing.reusedSocket && systemCode(error) === 'ECONNRESET') resolve(this.#send(request, forWatch));
        else reject(noAnswer(request, error));
      });
      // libuv sends ten probes, a second apart: a dead server is detected after 25 s, even on a quiet watch.
      outgoing.once('socket', (socket) => socket.setKeepAlive(true, 15_000));
      outgoing.end(body);
    });
  }

  #refusal(status: number, text: string, request: ApiRequest): ApiError {
    if (status === 401) this.#connection.forgetCredentials();
    try {
      const { message, reason, details } = JSON.parse(text) as StatusBody;
      const causes = (details?.causes ?? []).map((cause) => cause.reason ?? '');
      return new ApiError(
        status,
        reason ?? '',
        `${describe(request)}: ${message ?? `HTTP ${status}`}`,
        undefined,
        causes,
      );
    } catch {
      return new ApiError(status, '', `${describe(request)}: HTTP ${status}`);
    }
  }
}

function cancellable() {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    cancel: () => controller.abort(),
    isCancelled: () => controller.signal.aborted,
  };
}

function failureOf(error: unknown): ApiFailure {
  const { status, reason, causes } = error instanceof ApiError ? error : { status: 0, reason: 'Internal', causes: [] };
  return { status, reason, message: (error as Error).message, causes };
}

/** The fields of a meta/v1 Status that we read. */
interface StatusBody {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string }[] };
}

/** TokenReviews and SubjectAccessReviews are POSTs that change nothing. */
function isHarmless({ method = 'GET', path }: ApiRequest): boolean {
  return method === 'GET' || /\/(tokenreviews|subjectaccessreviews)$/.test(path);
}

function noAnswer(request: ApiRequest, error: unknown): ApiError {
  return new ApiError(0, 'NoAnswer', `${describe(request)}: ${(error as Error).message}`, error);
}

function describe({ method = 'GET', path }: ApiRequest): string {
  return `${method} ${path}`;
}

function queryText(query: ApiRequest['query'] = {}): string {
  const pairs = Object.entries(query).flatMap(([key, value]): [string, string][] =>
    value === undefined ? [] : [[key, String(value)]],
  );
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`;
}

async function readAll(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    throw new ApiError(0, 'NoAnswer', (error as Error).message, error);
  }
  return Buffer.concat(chunks).toString();
}
