/**
 * Who uses which address, and whether one more may.
 * @module
 */
import { formatAddress, type IpAddress, parseAddress } from '../net/address.ts';
import type { AddressUse, ServiceKey, ShareFault } from './request.ts';

/** Who may share at all. */
export interface SharingRules {
  /** --share-across-namespaces: Services of different namespaces may share an address. */
  readonly shareAcrossNamespaces?: boolean | undefined;
}

export class Uses {
  readonly #sharesAcrossNamespaces: boolean;
  readonly #byAddress = new Map<string, Map<ServiceKey, AddressUse>>();
  /** Addresses in use under each sharing key. */
  readonly #bySharingKey = new Map<string, Map<string, IpAddress>>();
  /** Addresses of Services that are being deleted, by Service and address: there are few. */
  readonly #leaving = new Map<string, IpAddress>();

  constructor({ shareAcrossNamespaces = true }: SharingRules = {}) {
    this.#sharesAcrossNamespaces = shareAcrossNamespaces;
  }

  /** True when somebody uses the address. */
  has(address: IpAddress): boolean {
    return this.#byAddress.has(formatAddress(address));
  }

  /** Every address that somebody uses. */
  addresses(): IpAddress[] {
    return [...this.#byAddress.keys()].map((text) => parseAddress(text)!);
  }

  /** How this Service uses the address, if it does. */
  of(service: ServiceKey, address: IpAddress): AddressUse | undefined {
    return this.#byAddress.get(formatAddress(address))?.get(service);
  }

  /** Adds or replaces a use. */
  add(service: ServiceKey, address: IpAddress, use: AddressUse): void {
    const key = formatAddress(address);
    // When the key changes, the address moves to the new key.
    this.delete(service, address);
    const users = this.#byAddress.get(key);
    if (users === undefined) this.#byAddress.set(key, new Map([[service, use]]));
    else users.set(service, use);
    if (use.finalizers !== undefined) this.#leaving.set(`${service} ${key}`, address);
    if (use.sharingKey === '') return;
    const shared = this.#bySharingKey.get(use.sharingKey);
    if (shared === undefined) this.#bySharingKey.set(use.sharingKey, new Map([[key, address]]));
    else shared.set(key, address);
  }

  /** Removes a use, if it is there. */
  delete(service: ServiceKey, address: IpAddress): void {
    const key = formatAddress(address);
    const users = this.#byAddress.get(key);
    const use = users?.get(service);
    if (users === undefined || use === undefined) return;
    users.delete(service);
    this.#leaving.delete(`${service} ${key}`);
    if (users.size === 0) this.#byAddress.delete(key);
    const stillShared = [...users.values()].some(({ sharingKey }) => sharingKey === use.sharingKey);
    if (use.sharingKey !== '' && !stillShared) {
      const shared = this.#bySharingKey.get(use.sharingKey);
      shared?.delete(key);
      if (shared?.size === 0) this.#bySharingKey.delete(use.sharingKey);
    }
  }

  /** Addresses that somebody uses under this sharing key. */
  sharedUnder(sharingKey: string): IpAddress[] {
    return sharingKey === '' ? [] : [...(this.#bySharingKey.get(sharingKey)?.values() ?? [])];
  }

  /** Addresses that are held by Services that are being deleted. */
  leaving(): IpAddress[] {
    return [...this.#leaving.values()];
  }

  /** Why the Service may not share the address with its present users; undefined when it may (docs/behaviour/allocation.md#sharing). */
  fault(service: ServiceKey, address: IpAddress, use: AddressUse): ShareFault | undefined {
    for (const [holder, theirs] of this.#byAddress.get(formatAddress(address)) ?? []) {
      if (holder === service) continue;
      const base = { address, holder, ...(theirs.finalizers && { finalizers: theirs.finalizers }) };
      if (!this.#sharesAcrossNamespaces && namespaceOf(holder) !== namespaceOf(service))
        return { ...base, kind: use.sharingKey === '' ? 'in-use' : 'other-namespace' };
      if (use.sharingKey === '') return { ...base, kind: theirs.sharingKey === '' ? 'in-use' : 'no-key' };
      if (theirs.sharingKey === '') return { ...base, kind: 'holder-has-no-key' };
      if (use.sharingKey !== theirs.sharingKey) return { ...base, kind: 'other-key', theirs: theirs.sharingKey };
      if (use.backendKey !== theirs.backendKey) return { ...base, kind: 'other-endpoints', key: use.sharingKey };
      const port = use.ports.find((candidate) => theirs.ports.includes(candidate));
      if (port !== undefined) return { ...base, kind: 'port-clash', key: use.sharingKey, port };
    }
    return undefined;
  }
}

function namespaceOf(service: ServiceKey): string {
  return service.slice(0, service.indexOf('/'));
}
