/**
 * Keeps the status objects of one kind that a speaker writes.
 * @module
 */

import { nodeLabels, type StatusKind, statusName, statusObject } from '../../core/speaker/status-objects.ts';
import type { Clock, WallClock } from '../driver/clock.ts';
import { sha256 } from '../sha256.ts';
import type { ReflectedChange } from './reflector.ts';
import { timestamp } from './timestamp.ts';
import type { ApiTransport } from './transport.ts';
import { selectorOf, Writer } from './writer.ts';

export interface SpeakerStatusOptions {
  readonly client: ApiTransport;
  /** Namespace of the objects. */
  readonly namespace: string;
  readonly node: string;
  /** Our own Pod, which owns the objects so that they are deleted with it. Empty: they have no owner. */
  readonly podName: string;
  readonly onTrouble: (message: string) => void;
  /** Default: the clocks of this process. */
  readonly clock?: Clock | undefined;
  readonly wallClock?: WallClock | undefined;
}

export class SpeakerStatus<T> {
  readonly #kind: StatusKind<T>;
  readonly #options: SpeakerStatusOptions;
  readonly #writer: Writer;

  /** With `isWatched` the process watches the resource itself and passes changes to `observe`. */
  constructor(kind: StatusKind<T>, options: SpeakerStatusOptions, isWatched = false) {
    this.#kind = kind;
    this.#options = options;
    const mark = nodeLabels(options.node);
    this.#writer = new Writer({
      ...options,
      watched: { [kind.resource]: isWatched ? undefined : { labelSelector: selectorOf(mark) } },
      whenMissing: () =>
        `there will be no ${kind.kind} objects: this cluster has no such kind; install our CRDs to see them`,
      fieldManager: kind.fieldManager,
      identity: options.node,
      settings: { mark },
    });
  }

  // Started by the first call, so that a speaker without any status sends no requests.

  /** Sets the status about `key`, a Service or a BGPPeer; undefined removes it. Never fails. */
  set(key: string, told: T | undefined): void {
    this.#writer.start();
    const { node, wallClock } = this.#options;
    const name = statusName(this.#kind, node, key, sha256);
    const now = timestamp(wallClock?.());
    this.#writer.set(
      this.#kind.resource,
      name,
      told === undefined ? undefined : statusObject(this.#kind, node, key, told, now, sha256),
    );
  }

  /** To be called once all current statuses are set: deletes those that an earlier speaker of this node left behind. */
  sweep(): void {
    this.#writer.start();
    this.#writer.sweep();
  }

  observe(change: ReflectedChange): void {
    this.#writer.observe(this.#kind.resource, change);
  }

  /** Calls back when no request is in flight any more. */
  stop(onStopped: () => void): void {
    this.#writer.stop(onStopped);
  }
}
