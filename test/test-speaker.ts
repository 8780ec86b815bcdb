/**
 * One speaker as tests have it: fed with a world, on a clock that stands still until the test waits.
 * @module
 */
import { sha256 } from '../src/adapters/sha256.ts';
import type { KubernetesObject } from '../src/core/api/kubernetes.ts';
import type { PeerPlan } from '../src/core/bgp/peers/wanted.ts';
import { keyOf, type Route } from '../src/core/bgp/rib/route.ts';
import { applyUpdates, type RouteSet } from '../src/core/bgp/rib/route-update.ts';
import { speakerMachine } from '../src/core/speaker/fsm.ts';
import {
  initialSpeaker,
  SPEAKER_DEFAULTS,
  SPEAKER_RESOURCES,
  type SpeakerInput,
  type SpeakerOutput,
  type SpeakerResource,
  type SpeakerSettings,
  type SpeakerState,
} from '../src/core/speaker/state.ts';

/** All objects of a cluster that a speaker reads. */
export type World = Partial<Record<SpeakerResource, readonly KubernetesObject[]>>;

/** Of every resource that it is known that there is nothing of it. */
export const EMPTY_WORLD: World = Object.fromEntries(SPEAKER_RESOURCES.map((resource) => [resource, []]));

type OutputOf<K extends SpeakerOutput['kind']> = Extract<SpeakerOutput, { kind: K }>;

export class TestSpeaker {
  /** All that it has asked for. */
  readonly outputs: SpeakerOutput[] = [];
  readonly #machine = speakerMachine(sha256);
  readonly #held = new Map<number, RouteSet>();
  #state: SpeakerState;
  #now = 1000;

  constructor(node: string, settings: Partial<SpeakerSettings> = {}) {
    this.#state = initialSpeaker({ ...SPEAKER_DEFAULTS, node, ...settings });
  }

  get now(): number {
    return this.#now;
  }

  /** What this input makes it ask for. */
  feed(input: SpeakerInput | { kind: 'tick' }): readonly SpeakerOutput[] {
    const { next, outputs } = this.#machine.step(this.#state, input, this.#now);
    this.#state = next;
    this.outputs.push(...outputs);
    for (const output of outputs)
      if (output.kind === 'bgp')
        applyUpdates(this.#held, output.routes, new Set(output.plans.map(({ audience }) => audience)));
    return outputs;
  }

  /** Lists every resource of the world. */
  list(world: World): void {
    for (const [resource, objects] of Object.entries(world))
      this.feed({ kind: 'replaced', resource: resource as SpeakerResource, objects });
  }

  apply(object: KubernetesObject, resource: SpeakerResource): void {
    this.feed({ kind: 'applied', resource, object });
  }

  /** Until the deadline that it asks for; false: there is none. */
  wait(): boolean {
    const due = this.#due;
    if (due === undefined) return false;
    this.#now = due;
    this.feed({ kind: 'tick' });
    return true;
  }

  /** This many milliseconds, with every deadline in them; what it asks for meanwhile. */
  pass(milliseconds: number): readonly SpeakerOutput[] {
    const before = this.outputs.length;
    const end = this.#now + milliseconds;
    for (let due = this.#due; due !== undefined && due <= end; due = this.#due) this.wait();
    this.#now = end;
    return this.outputs.slice(before);
  }

  get #due(): number | undefined {
    return this.#machine.nextDeadline(this.#state)?.at;
  }

  last<K extends SpeakerOutput['kind']>(kind: K): OutputOf<K> | undefined {
    return this.outputs.findLast((output): output is OutputOf<K> => output.kind === kind);
  }

  get plans(): readonly PeerPlan[] {
    return this.last('bgp')?.plans ?? [];
  }

  /** What a router holds after all updates, by prefix. */
  routesOf({ audience }: PeerPlan): readonly Route[] {
    return [...this.#held.get(audience)!.routes.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }
}

/** The Events among them, as `reason: message`. */
export function eventsOf(outputs: readonly SpeakerOutput[]): string[] {
  return outputs.flatMap((output) => (output.kind === 'emit-event' ? [`${output.reason}: ${output.message}`] : []));
}
