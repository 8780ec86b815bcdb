/**
 * How the performers of machines send requests to the API server: the answer comes later, by exactly one callback. KubernetesClient is one
 * implementation, the simulation's virtual API server another.
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

/** Why a request failed. `status` is the HTTP status, or 0 without a response. */
export interface ApiFailure {
  readonly status: number;
  readonly reason: string;
  /** Includes the method and path of the request. */
  readonly message: string;
  /** The reasons in `details.causes` of the Status, for example NamespaceTerminating. */
  readonly causes?: readonly string[];
}

export type ApiAnswer<T = KubernetesObject> =
  | { readonly ok: true; readonly body: T }
  | { readonly ok: false; readonly failure: ApiFailure };

export interface WatchHandlers {
  readonly onOpen: () => void;
  readonly onEvent: (type: string, object: KubernetesObject) => void;
  /** Undefined: the server has closed the watch normally. */
  readonly onClose: (failure: ApiFailure | undefined) => void;
}

export interface ApiTransport {
  /** `onAnswer` is never called before this returns, nor after the request was cancelled. */
  send<T = KubernetesObject>(request: ApiRequest, onAnswer: (answer: ApiAnswer<T>) => void): Cancel;
  /** The same for a watch: nothing is called once it is cancelled. */
  open(request: ApiRequest, handlers: WatchHandlers): Cancel;
}
