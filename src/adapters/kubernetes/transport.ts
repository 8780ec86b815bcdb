/**
 * Requests to the API server as the performers of machines make them: an answer comes by a call, later, exactly once. The client of a real
 * API server is one, the simulation's virtual API server another.
 * @module
 */
import type { KubernetesObject } from '../../core/api/kubernetes.ts';
import type { Cancel } from '../driver/clock.ts';

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}

/** Why there is no success. `status` 0: no answer at all. */
export interface ApiFailure {
  readonly status: number;
  readonly reason: string;
  /** Names the request. */
  readonly message: string;
  /** What the Status names in `details.causes`, by reason; NamespaceTerminating is one. */
  readonly causes?: readonly string[];
}

export type ApiAnswer<T = KubernetesObject> =
  | { readonly ok: true; readonly body: T }
  | { readonly ok: false; readonly failure: ApiFailure };

export interface WatchHandlers {
  readonly onOpen: () => void;
  readonly onEvent: (type: string, object: KubernetesObject) => void;
  /** Undefined: the server has ended the watch in good order. */
  readonly onClose: (failure: ApiFailure | undefined) => void;
}

export interface ApiTransport {
  /** `onAnswer` is never called before this returns, nor after the request was cancelled. */
  send<T = KubernetesObject>(request: ApiRequest, onAnswer: (answer: ApiAnswer<T>) => void): Cancel;
  /** The same for a watch: nothing is called once it is cancelled. */
  open(request: ApiRequest, handlers: WatchHandlers): Cancel;
}
