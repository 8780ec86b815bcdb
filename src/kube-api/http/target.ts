/**
 * What a request addresses, and what answers it.
 * @module
 */
import type { Resource } from '../rules/resource.ts';
import type { Store } from '../storage/store.ts';

/** The resource, object or subresource that a path addresses. */
export interface Target {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

export interface CollectionOptions {
  readonly store: Store;
  /** Milliseconds between bookmarks on a watch that asks for them. */
  readonly bookmarkInterval: number;
  readonly now: () => number;
}
