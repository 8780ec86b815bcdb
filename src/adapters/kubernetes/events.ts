/**
 * Writes Kubernetes Events, aggregated: a repeated Event raises the count of the existing one.
 * @module
 */
import { createHash } from 'node:crypto';
import { bounded, printable } from '../../core/api/text.ts';
import type { EventNote, EventTarget } from '../../core/reasons/reasons.ts';
import { EVENT_TYPES } from '../../core/reasons/reasons.ts';
import type { WallClock } from '../driver/clock.ts';
import { MERGE_PATCH } from './client.ts';
import { collectionPath, objectPath } from './resources.ts';
import { timestamp } from './timestamp.ts';
import type { ApiFailure, ApiRequest, ApiTransport } from './transport.ts';

/** What Kubernetes' own recorder allows. */
const LONGEST_MESSAGE = 1024;

/** Limit of queued Events: while the API server is unreachable for long, the oldest are dropped. */
const QUEUE_LIMIT = 1000;

interface Pending {
  readonly target: EventTarget;
  readonly note: EventNote;
  readonly time: string;
}

export interface EventRecorderOptions {
  readonly client: ApiTransport;
  readonly component: string;
  readonly host: string;
  readonly onTrouble: (message: string) => void;
  readonly wallClock?: WallClock | undefined;
}

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #queue: Pending[] = [];
  #isBusy = false;
  #onFlushed: (() => void) | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Queues an Event. Never fails; errors go to `onTrouble`. */
  record(target: EventTarget, note: EventNote): void {
    this.#queue.push({ target, note, time: timestamp(this.#options.wallClock?.()) });
    if (this.#queue.length > QUEUE_LIMIT) this.#queue.shift();
    if (!this.#isBusy) this.#work();
  }

  /** Calls back once the queue is empty. */
  flush(onFlushed: () => void): void {
    if (this.#isBusy) this.#onFlushed = onFlushed;
    else onFlushed();
  }

  #work(): void {
    const next = this.#queue.shift();
    this.#isBusy = next !== undefined;
    if (next !== undefined) this.#create(next);
    else this.#onFlushed?.();
  }

  #create({ target, note, time }: Pending): void {
    const { component, host } = this.#options;
    const { reason, message } = note;
    const type = EVENT_TYPES[reason];
    // Cluster-scoped objects have their Events in `default`.
    const namespace = target.namespace || 'default';
    const identity = JSON.stringify([component, host, target, reason, message]);
    const name = `${target.name}.${createHash('sha256').update(identity).digest('hex').slice(0, 16)}`;
    const { uid, ...reference } = target;
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: { ...reference, ...(uid !== undefined && { uid }) },
      reason,
      message: bounded(printable(message), LONGEST_MESSAGE),
      type,
      source: { component, host },
      reportingComponent: component,
      reportingInstance: host,
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    };
    const request: ApiRequest = { method: 'POST', path: collectionPath('events', namespace), body: event };
    this.#options.client.send(request, (answer) => {
      if (answer.ok) this.#work();
      else if (answer.failure.status === 409) this.#raise(objectPath('events', `${namespace}/${name}`), time);
      else this.#failed(answer.failure);
    });
  }

  /** Raises the count of an Event that exists already. */
  #raise(path: string, lastTimestamp: string): void {
    const { client } = this.#options;
    client.send<{ count?: number }>({ path }, (read) => {
      if (!read.ok) return this.#failed(read.failure);
      const { count = 1 } = read.body;
      const body = { count: count + 1, lastTimestamp };
      client.send({ method: 'PATCH', path, contentType: MERGE_PATCH, body }, (written) => {
        if (written.ok) this.#work();
        else this.#failed(written.failure);
      });
    });
  }

  #failed({ message, causes = [] }: ApiFailure): void {
    // A terminating namespace accepts no new Events, and its own are about to be deleted: not worth reporting.
    if (!causes.includes('NamespaceTerminating')) this.#options.onTrouble(message);
    this.#work();
  }
}
