/**
 * What a writer is told, and what it asks for.
 * @module
 */
import type { KubernetesObject, ObjectMeta } from '../../api/kubernetes.ts';

export type Labels = Readonly<Record<string, string>>;

/** An object as it should be: all that we have to say of it, and nothing else. */
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
  /** Objects of this resource with these labels and another name are of the past: they are deleted before this one is written. */
  readonly supersedes?: Labels;
}

/** meta/v1 OwnerReference. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** One request. Names are of the writer's namespace. */
export type WriteCall =
  /** Is the kind there? One object of the collection is enough to know. */
  | { readonly verb: 'look'; readonly resource: string }
  /** The object that owns ours. */
  | { readonly verb: 'read-owner' }
  | { readonly verb: 'list'; readonly resource: string; readonly labels: Labels }
  | { readonly verb: 'read'; readonly resource: string; readonly name: string }
  /** Server-side apply, by force: what we say of the object holds. */
  | {
      readonly verb: 'apply';
      readonly resource: string;
      readonly name: string;
      readonly subresource?: 'status';
      readonly body: object;
    }
  | { readonly verb: 'create'; readonly resource: string; readonly name: string; readonly body: object }
  /** Fails with 409 when the object has changed since it was read. */
  | { readonly verb: 'replace'; readonly resource: string; readonly name: string; readonly body: object }
  /** With `uid`, fails with 409 when it is another object of that name by now. */
  | { readonly verb: 'delete'; readonly resource: string; readonly name: string; readonly uid?: string };

export type WriteAnswer =
  | { readonly ok: true; readonly objects: readonly KubernetesObject[] }
  /** `status` 0: no answer at all. */
  | { readonly ok: false; readonly status: number; readonly message: string };

export type WriterInput =
  | { readonly kind: 'start' }
  /** How an object should be from now on; undefined: nobody wants it any more. */
  | { readonly kind: 'set'; readonly resource: string; readonly name: string; readonly desired: Desired | undefined }
  /** Everything that is wanted has been set: what else carries our mark is of an earlier life, and goes. */
  | { readonly kind: 'sweep' }
  /** What a reflector reports of a written resource. */
  | { readonly kind: 'replaced'; readonly resource: string; readonly objects: readonly KubernetesObject[] }
  | { readonly kind: 'applied' | 'deleted'; readonly resource: string; readonly object: KubernetesObject }
  | { readonly kind: 'answered'; readonly id: number; readonly answer: WriteAnswer }
  /** Begins nothing more; says `stopped` when what is under way has ended. */
  | { readonly kind: 'stop' };

export type WriterOutput =
  | { readonly kind: 'send'; readonly id: number; readonly call: WriteCall }
  /** Follow the resource, and report its changes; or do not any more. */
  | { readonly kind: 'watch' | 'unwatch'; readonly resource: string }
  /** The object is as it should be, by our hand; or it is gone. */
  | { readonly kind: 'written' | 'removed'; readonly resource: string; readonly name: string }
  | {
      readonly kind: 'trouble';
      /** `contested`: it goes well, but somebody undoes it again and again. */
      readonly what: 'failed' | 'missing' | 'contested';
      readonly resource: string;
      readonly name: string;
      readonly message: string;
    }
  | { readonly kind: 'stopped' };
