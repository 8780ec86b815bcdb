/**
 * Inputs and outputs of the writer machine.
 * @module
 */
import type { KubernetesObject, ObjectMeta } from '../../api/kubernetes.ts';

export type Labels = Readonly<Record<string, string>>;

/** The desired state of an object: the fields that we manage, and no others. */
export interface DesiredObject extends KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Pick<ObjectMeta, 'name' | 'labels'>;
  readonly spec?: unknown;
  /** Written to the subresource. */
  readonly status?: unknown;
}

export interface Desired {
  readonly resource: string;
  readonly object: DesiredObject;
  /** Objects of this resource with these labels and another name are obsolete: they are deleted before this one is written. */
  readonly supersedes?: Labels;
}

/** meta/v1 OwnerReference. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** One request; the objects are in the writer's namespace. */
export type WriteCall =
  /** Lists at most one object, to find out whether the kind exists. */
  | { readonly verb: 'look'; readonly resource: string }
  /** Reads the Pod that owns our objects. */
  | { readonly verb: 'read-owner' }
  | { readonly verb: 'list'; readonly resource: string; readonly labels: Labels }
  | { readonly verb: 'read'; readonly resource: string; readonly name: string }
  /** Server-side apply with force: our fields win over those of other managers. */
  | {
      readonly verb: 'apply';
      readonly resource: string;
      readonly name: string;
      readonly subresource?: 'status';
      readonly body: object;
    }
  | { readonly verb: 'create'; readonly resource: string; readonly name: string; readonly body: object }
  /** PUT; fails with 409 if the object has changed since it was read. */
  | { readonly verb: 'replace'; readonly resource: string; readonly name: string; readonly body: object }
  /** With `uid`, fails with 409 if it is a different object of that name. */
  | { readonly verb: 'delete'; readonly resource: string; readonly name: string; readonly uid?: string };

export type WriteAnswer =
  | { readonly ok: true; readonly objects: readonly KubernetesObject[] }
  /** `status` is the HTTP status, or 0 without a response. */
  | { readonly ok: false; readonly status: number; readonly message: string };

export type WriterInput =
  | { readonly kind: 'start' }
  /** Sets the desired state of an object; undefined: delete it. */
  | { readonly kind: 'set'; readonly resource: string; readonly name: string; readonly desired: Desired | undefined }
  /** All desired objects have been set: delete all others that carry our mark. */
  | { readonly kind: 'sweep' }
  /** Changes of a written resource, from a reflector. */
  | {
      readonly kind: 'replaced';
      readonly resource: string;
      readonly objects: readonly KubernetesObject[];
      /** resourceVersion of the list; undefined: unknown. */
      readonly version?: string | undefined;
    }
  | { readonly kind: 'applied' | 'deleted'; readonly resource: string; readonly object: KubernetesObject }
  | { readonly kind: 'answered'; readonly id: number; readonly answer: WriteAnswer }
  /** Send nothing more; `stopped` follows when no request is in flight any more. */
  | { readonly kind: 'stop' };

export type WriterOutput =
  | { readonly kind: 'send'; readonly id: number; readonly call: WriteCall }
  /** Start or stop watching the resource and feeding its changes. */
  | { readonly kind: 'watch' | 'unwatch'; readonly resource: string }
  /** The object has been written, or deleted. */
  | { readonly kind: 'written' | 'removed'; readonly resource: string; readonly name: string }
  | {
      readonly kind: 'trouble';
      /** `contested`: writes succeed, but another client keeps changing the object. */
      readonly what: 'failed' | 'missing' | 'contested';
      readonly resource: string;
      readonly name: string;
      readonly message: string;
    }
  | { readonly kind: 'stopped' };
