/**
 * Addresses that belong to the cluster itself: a pool that contains one gives a Service what somebody else answers for.
 * @module
 */
import { referenceTo } from '../api/kind.ts';
import { type KubernetesObject, type Node, objectKey, type Service } from '../api/kubernetes.ts';
import type { Problem } from '../api/problem.ts';
import { formatAddress, type IpAddress, parseAddress } from '../net/address.ts';
import {
  type AddressRange,
  formatPrefix,
  type Prefix,
  parsePrefix,
  prefixRange,
  rangeContains,
} from '../net/prefix.ts';
import type { Pool } from './config.ts';
import { PoolIndex } from './pools.ts';

/** An address or a network, and whose it is, for example `the InternalIP of Node node-1`. */
export interface ForeignAddresses {
  readonly range: AddressRange;
  readonly text: string;
  readonly owner: string;
  /** Whose it is for those who may not read Services of this namespace; absent: no secret. */
  readonly veiled?: { readonly namespace: string; readonly owner: string };
}

/** The addresses and Pod networks of the nodes, and the cluster IPs of Services. */
export function foreignAddresses(nodes: readonly Node[], services: readonly Service[]): ForeignAddresses[] {
  return [...nodes.flatMap(ofNode), ...services.flatMap(ofService)];
}

function ofNode({ metadata: { name }, spec, status }: Node): ForeignAddresses[] {
  const { podCIDR, podCIDRs = podCIDR === undefined ? [] : [podCIDR] } = spec ?? {};
  return [
    ...(status?.addresses ?? []).flatMap(({ type, address }) =>
      one(parseAddress(address), `the ${type} of Node ${name}`),
    ),
    ...podCIDRs.flatMap((cidr) => network(parsePrefix(cidr), `the Pod network of Node ${name}`)),
  ];
}

function ofService(service: Service): ForeignAddresses[] {
  const { clusterIP = '', clusterIPs = [clusterIP] } = service.spec ?? {};
  const { namespace = '' } = service.metadata;
  const veiled = { namespace, owner: 'the cluster IP of a Service in another namespace' };
  return clusterIPs.flatMap((text) =>
    one(parseAddress(text), `the cluster IP of Service ${objectKey(service)}`).map((found) => ({ ...found, veiled })),
  );
}

function one(address: IpAddress | undefined, owner: string): ForeignAddresses[] {
  if (address === undefined) return [];
  const { family, value } = address;
  return [{ range: { family, first: value, last: value }, text: formatAddress(address), owner }];
}

function network(prefix: Prefix | undefined, owner: string): ForeignAddresses[] {
  return prefix === undefined ? [] : [{ range: prefixRange(prefix), text: formatPrefix(prefix), owner }];
}

/** So many are told for one pool; whoever takes a whole network out of it does not need the list. */
const MOST_TOLD = 5;

/** What every pool in force has in it that it should not. */
export function foreignProblems(
  objects: readonly KubernetesObject[],
  pools: readonly Pool[],
  foreign: readonly ForeignAddresses[],
): Problem[] {
  const byName = new Map(objects.map((object) => [object.metadata.name, object]));
  const asked = pools.filter(({ name }) => byName.has(name));
  const index = PoolIndex.of(asked);
  const inPool = new Map<Pool, ForeignAddresses[]>(asked.map((pool) => [pool, []]));
  for (const each of foreign) for (const pool of index.overlapping(each.range).keys()) inPool.get(pool)!.push(each);
  return [...inPool].flatMap(([{ name }, found]) => {
    const object = byName.get(name)!;
    return found.slice(0, MOST_TOLD).map(({ text, owner }, i): Problem => {
      const others = i === MOST_TOLD - 1 && found.length > MOST_TOLD ? ` (and ${found.length - MOST_TOLD} more)` : '';
      return {
        object: referenceTo('IPAddressPool', object),
        field: 'spec.addresses',
        value: text,
        message: `this is ${owner}${others}, and a Service that gets it would not be reached`,
        cure: 'leave it out of the pool',
      };
    });
  });
}

/** Those that some pool contains, in whole or in part: as a rule, none. */
export function foreignIn(pools: readonly Pool[], foreign: readonly ForeignAddresses[]): ForeignAddresses[] {
  const index = PoolIndex.of(pools);
  return foreign.filter(({ range }) => index.overlapping(range).size > 0);
}

/** Whose the address is, of those that are given. */
export function foreignOwnerOf(foreign: readonly ForeignAddresses[], address: IpAddress): ForeignAddresses | undefined {
  return foreign.find(({ range }) => rangeContains(range, address));
}
