/**
 * The resources that are served: the built-in ones, and those of the CustomResourceDefinitions in the store.
 * @module
 */
import type { Store } from '../storage/store.ts';
import { builtinResources } from './builtins.ts';
import { type CustomBehaviour, customResources } from './definitions.ts';
import type { Resource } from './resource.ts';

export class Registry {
  readonly #store: Store;
  readonly #builtins = builtinResources();
  readonly #behaviours: ReadonlyMap<string, CustomBehaviour>;
  #custom: { made: string; resources: readonly Resource[] } = { made: '', resources: [] };

  constructor(store: Store, behaviours: ReadonlyMap<string, CustomBehaviour>) {
    this.#store = store;
    this.#behaviours = behaviours;
  }

  /** Every resource in every served version. */
  all(): readonly Resource[] {
    const definitions = this.#store.list('customresourcedefinitions.apiextensions.k8s.io');
    const made = definitions.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`).join();
    if (made !== this.#custom.made) {
      this.#custom = {
        made,
        resources: definitions.flatMap((definition) => customResources(definition, this.#behaviours)),
      };
    }
    return [...this.#builtins, ...this.#custom.resources];
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.all().find((r) => r.group === group && r.version === version && r.plural === plural);
  }
}
