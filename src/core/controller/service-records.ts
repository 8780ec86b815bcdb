/**
 * What the controller remembers of each Service. Services that wait for an address or a retry are found without scanning all of them.
 * @module
 */
import type { ServiceKey } from '../ipam/request.ts';
import type { Millis } from '../machine.ts';
import type { UnservedReason } from '../reasons/allocation.ts';
import type { EventNote, Said } from '../reasons/reasons.ts';
import { type Mends, NO_MENDS } from './mending.ts';
import type { Asked } from './service-request.ts';
import { NO_WRITE, type WriteState } from './write-state.ts';

/** How long an address that the configuration does not allow any more still stays (--pool-change-grace). */
export type Grace =
  | { readonly kind: 'running'; readonly until: Millis }
  /** It goes, and the status does not say so yet. */
  | { readonly kind: 'over' };

/** By address. */
export type Graces = ReadonlyMap<string, Grace>;

export interface ServiceRecord {
  /** Why it has not all that it wants. */
  readonly unserved: UnservedReason | undefined;
  /** It is to have one, if perhaps not all that it wants. */
  readonly hasAddress: boolean;
  /** What its status showed when it was last as we wanted it. */
  readonly served: readonly string[];
  /** What it said of itself then. */
  readonly asked: Asked | undefined;
  /** What it lost and why, in words, until it has all that it wants. */
  readonly lost: Said | undefined;
  readonly graces: Graces;
  /** When it was first seen without the address it wants. */
  readonly pendingSince: Millis | undefined;
  /** The Events about its address, its annotations and its surroundings that were emitted last: the same are not emitted twice. */
  readonly told: Readonly<Record<'address' | 'annotations' | 'surroundings', readonly EventNote[]>>;
  /** What was wrong with its annotations when it was last looked at; undefined: it was not. */
  readonly annotations: readonly EventNote[] | undefined;
  readonly write: WriteState;
  readonly mends: Mends;
}

const NEW: ServiceRecord = {
  unserved: undefined,
  hasAddress: false,
  served: [],
  asked: undefined,
  lost: undefined,
  graces: new Map(),
  pendingSince: undefined,
  told: { address: [], annotations: [], surroundings: [] },
  annotations: undefined,
  write: NO_WRITE,
  mends: NO_MENDS,
};

export class ServiceRecords {
  readonly #records = new Map<ServiceKey, ServiceRecord>();
  readonly #unserved = new Set<ServiceKey>();
  readonly #backingOff = new Set<ServiceKey>();
  readonly #inGrace = new Set<ServiceKey>();

  get(key: ServiceKey): ServiceRecord {
    return this.#records.get(key) ?? NEW;
  }

  change(key: ServiceKey, change: Partial<ServiceRecord>): void {
    const record = { ...this.get(key), ...change };
    this.#records.set(key, record);
    setMember(this.#unserved, key, record.unserved !== undefined);
    setMember(this.#backingOff, key, record.write.kind === 'backing-off');
    const isInGrace = [...record.graces.values()].some(({ kind }) => kind === 'running');
    setMember(this.#inGrace, key, isInGrace);
  }

  /** The Service is gone. A write that is under way is remembered until it is answered: one of the same name may come. */
  forget(key: ServiceKey): void {
    const { write } = this.get(key);
    if (write.kind === 'under-way') {
      this.change(key, { ...NEW, write: { ...write, failures: 0 } });
      return;
    }
    for (const keyed of [this.#records, this.#unserved, this.#backingOff, this.#inGrace]) keyed.delete(key);
  }

  /** Services that want an address, or another one, and could not have it. */
  get unserved(): Iterable<ServiceKey> {
    return this.#unserved;
  }

  /** Why each of them could not; those that keep another address in the meantime are left out. */
  *unservedReasons(): Iterable<UnservedReason> {
    for (const key of this.#unserved) {
      const { unserved, hasAddress } = this.get(key);
      if (!hasAddress) yield unserved!;
    }
  }

  /** Services with a failed write that is to be tried again, and when. */
  *retries(): Iterable<{ readonly key: ServiceKey; readonly at: Millis }> {
    for (const key of this.#backingOff) {
      const { write } = this.get(key);
      if (write.kind === 'backing-off') yield { key, at: write.until };
    }
  }

  /** Addresses of Services in their grace, and when it is over. */
  *graces(): Iterable<{ readonly key: ServiceKey; readonly address: string; readonly at: Millis }> {
    for (const key of this.#inGrace)
      for (const [address, grace] of this.get(key).graces)
        if (grace.kind === 'running') yield { key, address, at: grace.until };
  }
}

function setMember(set: Set<ServiceKey>, key: ServiceKey, isMember: boolean): void {
  if (isMember) set.add(key);
  else set.delete(key);
}
