/**
 * Performs the requests of the leadership machine on a Lease.
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
import { type Clock, realWallClock, type WallClock } from '../driver/clock.ts';
import { Driver, type DriverOptions } from '../driver/driver.ts';
import { collectionPath, objectPath } from './resources.ts';
import type { ApiFailure, ApiRequest, ApiTransport } from './transport.ts';

interface Lease {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec?: { readonly holderIdentity?: string; readonly leaseTransitions?: number };
}

export interface LeaderElectionOptions {
  readonly client: ApiTransport;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly onLead: () => void;
  readonly onStepDown: (why: string) => void;
  readonly onTrouble: (message: string) => void;
  /** Default: the clock of this process. */
  readonly clock?: Clock | undefined;
  readonly wallClock?: WallClock | undefined;
  readonly record?: DriverOptions<LeadershipInput, LeadershipOutput>['record'];
}

export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #driver: Driver<LeadershipState, LeadershipInput, LeadershipOutput>;
  #underWay = 0;
  #onResigned: (() => void) | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    const { identity, clock, record } = options;
    this.#driver = new Driver(leadershipMachine, initialLeadership(identity), {
      perform: (output) => this.#perform(output),
      clock,
      record,
    });
  }

  /** True while no other process can lead. */
  get holds(): boolean {
    return holdsLease(this.#driver.state, this.#driver.now);
  }

  start(): void {
    this.#driver.feed({ kind: 'start' });
  }

  /** Releases the Lease, so that a standby need not wait until it expires. Calls back when no request is in flight any more. */
  resign(onResigned: () => void): void {
    this.#driver.feed({ kind: 'resign' });
    this.#onResigned = onResigned;
    this.#endIfQuiet();
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
        this.#read();
        return;
      case 'write-lease':
        this.#write(output);
    }
  }

  #read(): void {
    const { namespace, name } = this.#options;
    this.#request(
      { path: objectPath('leases', `${namespace}/${name}`) },
      (lease) => ({ kind: 'lease-read', record: toRecord(lease) }),
      ({ status }) => (status === 404 ? { kind: 'lease-read', record: undefined } : undefined),
    );
  }

  #write({ holder, transitions, version }: Extract<LeadershipOutput, { kind: 'write-lease' }>): void {
    const { namespace, name, wallClock = realWallClock } = this.#options;
    // MicroTime has six fractional digits.
    const now = new Date(wallClock()).toISOString().replace('Z', '000Z');
    const spec = {
      holderIdentity: holder,
      leaseDurationSeconds: LEASE_DURATION / 1000,
      renewTime: now,
      leaseTransitions: transitions,
    };
    const metadata = { name, namespace, ...(version !== undefined && { resourceVersion: version }) };
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    this.#request(
      version === undefined
        ? { method: 'POST', path: collectionPath('leases', namespace), body }
        : { method: 'PUT', path: objectPath('leases', `${namespace}/${name}`), body },
      (written) => ({ kind: 'lease-written', record: toRecord(written) }),
    );
  }

  /** `refused` may turn an error response that is expected, such as a 404, into an input. */
  #request(
    request: ApiRequest,
    answered: (lease: Lease) => LeadershipInput,
    refused: (failure: ApiFailure) => LeadershipInput | undefined = () => undefined,
  ): void {
    this.#underWay++;
    this.#options.client.send<Lease>(request, (answer) => {
      this.#underWay--;
      const input = answer.ok ? answered(answer.body) : refused(answer.failure);
      if (input !== undefined) this.#driver.feed(input);
      else if (!answer.ok) this.#failed(answer.failure);
      this.#endIfQuiet();
    });
  }

  #failed({ message }: ApiFailure): void {
    this.#options.onTrouble(message);
    this.#driver.feed({ kind: 'request-failed', message });
  }

  #endIfQuiet(): void {
    if (this.#onResigned === undefined || this.#underWay > 0) return;
    const onResigned = this.#onResigned;
    this.#onResigned = undefined;
    this.#driver.stop();
    onResigned();
  }
}

function toRecord({ metadata, spec }: Lease): LeaseRecord {
  return {
    holder: spec?.holderIdentity ?? '',
    transitions: spec?.leaseTransitions ?? 0,
    version: metadata.resourceVersion ?? '',
  };
}
