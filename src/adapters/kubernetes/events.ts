/**
 * Kubernetes Events, aggregated: the same thing told again raises the count of the Event that is there.
 * @module
 */
import { createHash } from 'node:crypto';
import type { EventNote, EventTarget } from '../../core/reasons/reasons.ts';
import { EVENT_TYPES } from '../../core/reasons/reasons.ts';
import { ApiError, type KubernetesClient, MERGE_PATCH } from './client.ts';
import { collectionPath, objectPath } from './resources.ts';
import { timestamp } from './timestamp.ts';

/** Events that wait for the API server; older ones are dropped when it is away for long. */
const QUEUE_LIMIT = 1000;

interface Pending {
  readonly target: EventTarget;
  readonly note: EventNote;
  readonly time: string;
}

export class EventRecorder {
  readonly #client: KubernetesClient;
  readonly #component: string;
  readonly #host: string;
  readonly #onTrouble: (message: string) => void;
  readonly #queue: Pending[] = [];
  #busy: Promise<void> | undefined;

  constructor(client: KubernetesClient, component: string, host: string, onTrouble: (message: string) => void) {
    this.#client = client;
    this.#component = component;
    this.#host = host;
    this.#onTrouble = onTrouble;
  }

  /** Queues an Event. Never fails; trouble is reported by the callback. */
  record(target: EventTarget, note: EventNote): void {
    this.#queue.push({ target, note, time: timestamp() });
    if (this.#queue.length > QUEUE_LIMIT) this.#queue.shift();
    this.#busy ??= this.#work();
  }

  /** Resolves when the queue is empty. */
  async flush(): Promise<void> {
    await this.#busy;
  }

  async #work(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      try {
        await this.#write(next);
      } catch (error) {
        // A namespace that goes takes its Events with it: nobody could read this one.
        if (error instanceof ApiError && error.causes.includes('NamespaceTerminating')) continue;
        this.#onTrouble((error as Error).message);
      }
    }
    this.#busy = undefined;
  }

  async #write({ target, note, time }: Pending): Promise<void> {
    const { reason, message } = note;
    const type = EVENT_TYPES[reason];
    // Cluster-scoped objects have their Events in `default`.
    const namespace = target.namespace || 'default';
    const identity = JSON.stringify([this.#component, this.#host, target, reason, message]);
    const name = `${target.name}.${createHash('sha256').update(identity).digest('hex').slice(0, 16)}`;
    const { uid, ...reference } = target;
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: { ...reference, ...(uid !== undefined && { uid }) },
      reason,
      message: message.slice(0, 1024),
      type,
      source: { component: this.#component, host: this.#host },
      reportingComponent: this.#component,
      reportingInstance: this.#host,
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    };
    try {
      await this.#client.request({ method: 'POST', path: collectionPath('events', namespace), body: event });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
      const path = objectPath('events', `${namespace}/${name}`);
      const { count = 1 } = await this.#client.request<{ count?: number }>({ path });
      await this.#client.request({
        method: 'PATCH',
        path,
        contentType: MERGE_PATCH,
        body: { count: count + 1, lastTimestamp: time },
      });
    }
  }
}
