/**
 * Performs what the leadership machine asks for, on a real Lease.
 * @module
 */
import {
  holdsLease,
  initialLeadership,
  LEASE_DURATION,
  type LeadershipInput,
  type LeadershipOutput,
  type LeadershipState,
  leadershipMachine,
} from '../../core/kubernetes/leadership/fsm.ts';
import type { LeaseRecord } from '../../core/kubernetes/leadership/messages.ts';
import { Driver } from '../driver/driver.ts';
import { ApiError, type KubernetesClient } from './client.ts';
import { collectionPath, objectPath } from './resources.ts';

interface Lease {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec?: { readonly holderIdentity?: string; readonly leaseTransitions?: number };
}

export interface LeaderElectionOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly onLead: () => void;
  readonly onStepDown: (why: string) => void;
  readonly onTrouble: (message: string) => void;
}

export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #driver: Driver<LeadershipState, LeadershipInput, LeadershipOutput>;
  #request: Promise<void> = Promise.resolve();

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#driver = new Driver(leadershipMachine, initialLeadership(options.identity), {
      perform: (output) => this.#perform(output),
    });
  }

  /** True while nobody else can lead. */
  get holds(): boolean {
    return holdsLease(this.#driver.state, this.#driver.now);
  }

  start(): void {
    this.#driver.feed({ kind: 'start' });
  }

  /** Gives the Lease back, so that a standby need not wait for it to run out. */
  async resign(): Promise<void> {
    this.#driver.feed({ kind: 'resign' });
    await this.#request;
    this.#driver.stop();
  }

  #perform(output: LeadershipOutput): void {
    switch (output.kind) {
      case 'lead':
        this.#options.onLead();
        return;
      case 'step-down':
        this.#options.onStepDown(output.why);
        return;
      case 'read-lease':
        this.#request = this.#answer(() => this.#read());
        return;
      case 'write-lease':
        this.#request = this.#answer(async () => ({ kind: 'lease-written', record: await this.#write(output) }));
    }
  }

  async #answer(request: () => Promise<LeadershipInput>): Promise<void> {
    let input: LeadershipInput;
    try {
      input = await request();
    } catch (error) {
      this.#options.onTrouble((error as Error).message);
      input = { kind: 'request-failed', message: (error as Error).message };
    }
    this.#driver.feed(input);
  }

  async #read(): Promise<LeadershipInput> {
    const { client, namespace, name } = this.#options;
    try {
      return {
        kind: 'lease-read',
        record: toRecord(await client.request<Lease>({ path: objectPath('leases', `${namespace}/${name}`) })),
      };
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return { kind: 'lease-read', record: undefined };
      throw error;
    }
  }

  async #write({
    holder,
    transitions,
    version,
  }: Extract<LeadershipOutput, { kind: 'write-lease' }>): Promise<LeaseRecord> {
    const { client, namespace, name } = this.#options;
    // MicroTime has six digits.
    const now = new Date().toISOString().replace('Z', '000Z');
    const spec = {
      holderIdentity: holder,
      leaseDurationSeconds: LEASE_DURATION / 1000,
      renewTime: now,
      leaseTransitions: transitions,
    };
    const metadata = { name, namespace, ...(version !== undefined && { resourceVersion: version }) };
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    const written =
      version === undefined
        ? await client.request<Lease>({ method: 'POST', path: collectionPath('leases', namespace), body })
        : await client.request<Lease>({ method: 'PUT', path: objectPath('leases', `${namespace}/${name}`), body });
    return toRecord(written);
  }
}

function toRecord({ metadata, spec }: Lease): LeaseRecord {
  return {
    holder: spec?.holderIdentity ?? '',
    transitions: spec?.leaseTransitions ?? 0,
    version: metadata.resourceVersion ?? '',
  };
}
