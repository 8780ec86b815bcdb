/**
 * What the controller hears, says and knows; fsm.ts is what it makes of it.
 * @module
 */
import type { Condition, KubernetesObject } from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import { type BgpEngine, type Config, EMPTY_CONFIG } from '../config/config.ts';
import { CONFIG_RESOURCES, type ConfigResource } from '../config/resolve.ts';
import { Allocator } from '../ipam/allocator.ts';
import type { PoolUsage } from '../ipam/pool-state.ts';
import type { ServiceKey } from '../ipam/request.ts';
import type { SharingRules } from '../ipam/uses.ts';
import { Cache, type Change } from '../kubernetes/cache.ts';
import type { Millis } from '../machine.ts';
import type { ConditionWish } from '../reasons/conditions.ts';
import type { EventNote, EventTarget } from '../reasons/reasons.ts';
import { ServiceRecords } from './service-records.ts';
import { NO_SURROUNDINGS, type Surroundings } from './surroundings.ts';
import type { WriteState } from './write-state.ts';

export const CONTROLLER_RESOURCES = ['services', ...CONFIG_RESOURCES, 'namespaces', 'nodes'] as const;
export type ControllerResource = (typeof CONTROLLER_RESOURCES)[number];

/** Upstream's Role does not let the controller watch Nodes: then what needs them is not told, and everything else is done. */
export const OPTIONAL_RESOURCES: readonly ControllerResource[] = ['nodes'];
export const NEEDED_RESOURCES = CONTROLLER_RESOURCES.filter((resource) => !OPTIONAL_RESOURCES.includes(resource));

export interface ControllerSettings extends SharingRules {
  /** Where configuration is read; undefined: everywhere, or not known. */
  readonly namespace?: string | undefined;
  /** Begin as a standby that sees everything and does nothing until it is told to lead. */
  readonly standby?: boolean;
  /** --lb-class; empty: Services without a class. */
  readonly loadBalancerClass: string;
  /** --pool-change-grace: how long an address that the configuration does not allow any more still stays. Absent: not at all. */
  readonly poolChangeGrace?: Millis;
  /** --keep-address-until-served: a wish takes the address away only once it can be met. */
  readonly keepUntilServed?: boolean;
  /** Who speaks BGP on the nodes; default: native. */
  readonly bgpEngine?: BgpEngine | undefined;
}

/** What the controller writes to. */
export type WrittenResource = 'services' | ConfigResource;

export type ControllerInput =
  | Change<ControllerResource>
  | { readonly kind: 'lead' }
  /** What is known of the resource may be out of date: it is being listed again, and nothing is decided until its `replaced` comes. */
  | { readonly kind: 'interrupted'; readonly resource: ControllerResource }
  /** The answer to `write-service` or `write-status`. */
  | { readonly kind: 'written'; readonly resource: WrittenResource; readonly object: KubernetesObject }
  | {
      readonly kind: 'write-failed';
      readonly resource: WrittenResource;
      readonly key: string;
      readonly status: number;
      readonly message: string;
    };

export type ControllerOutput =
  | {
      readonly kind: 'write-service';
      readonly key: ServiceKey;
      /** The write must fail when the Service has changed since. */
      readonly resourceVersion: string;
      readonly addresses: readonly string[];
      readonly annotations: Readonly<Record<string, string | null>>;
      /** The conditions that are there, and what ours should say. */
      readonly conditions: readonly Condition[];
      readonly wishes: readonly ConditionWish[];
    }
  | ({ readonly kind: 'write-status'; readonly resource: ConfigResource; readonly key: string } & StatusNote)
  | ({ readonly kind: 'emit-event'; readonly target: EventTarget } & EventNote)
  /** The write of its address has succeeded, so many milliseconds after it was first seen without one. */
  | { readonly kind: 'service-served'; readonly key: ServiceKey; readonly after: Millis }
  /** The resource has to be listed again; nothing is decided until its `replaced` comes. */
  | { readonly kind: 'relist'; readonly resource: ControllerResource }
  | { readonly kind: 'configuration'; readonly config: Config; readonly problems: readonly Problem[] };

/** What should change in the status of a configuration object; what is absent stays as it is. */
export interface StatusNote {
  /** Counters of an IPAddressPool. */
  readonly usage?: PoolUsage;
  /** The conditions that are there, and what ours should say. */
  readonly conditions: readonly Condition[];
  readonly wishes: readonly ConditionWish[];
}

/** What the controller remembers of one configuration object. */
export interface ConfigRecord {
  readonly resource: ConfigResource;
  readonly key: string;
  /** The Event about its faults that was emitted last: the same is not emitted twice. */
  readonly told: EventNote | undefined;
  /** What was written to its status last. */
  readonly written: StatusNote | undefined;
  readonly write: WriteState;
  /** Its status became due while a write was under way. */
  readonly isOverdue: boolean;
}

export interface ControllerState {
  readonly settings: ControllerSettings;
  readonly leading: boolean;
  /** What is known of these may be out of date: we have just begun to lead, or their watch was interrupted. */
  readonly catchingUp: ReadonlySet<ControllerResource>;
  readonly cache: Cache<ControllerResource>;
  readonly allocator: Allocator;
  readonly config: Config;
  readonly problems: readonly Problem[];
  /** Services to look at; filled by changes, emptied by every step once the cache is synced. */
  readonly dirty: Set<ServiceKey>;
  readonly services: ServiceRecords;
  /** By resource and key. */
  readonly configRecords: Map<string, ConfigRecord>;
  readonly surroundings: Surroundings;
  /** When they are to be looked at again. */
  readonly surroundingsDueAt: Millis | undefined;
  /** When the statuses of configuration objects are to be looked at again. */
  readonly statusesDueAt: Millis | undefined;
}

export function initialController(settings: ControllerSettings): ControllerState {
  return {
    settings,
    leading: settings.standby !== true,
    catchingUp: new Set(),
    cache: new Cache(CONTROLLER_RESOURCES, OPTIONAL_RESOURCES),
    allocator: new Allocator(settings),
    config: EMPTY_CONFIG,
    problems: [],
    dirty: new Set(),
    services: new ServiceRecords(),
    configRecords: new Map(),
    surroundings: NO_SURROUNDINGS,
    surroundingsDueAt: undefined,
    statusesDueAt: undefined,
  };
}
