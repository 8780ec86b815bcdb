/**
 * The speakers without a cluster: one state that answers for every node, because all speakers elect and decide alike from the same facts.
 * All speakers are assumed to be alive: only they know who is.
 * @module
 */
import type { KubernetesObject } from '../api/kubernetes.ts';
import type { Sha256 } from '../election/election.ts';
import { speakerMachine } from '../speaker/fsm.ts';
import {
  initialSpeaker,
  SPEAKER_DEFAULTS,
  SPEAKER_RESOURCES,
  type SpeakerResource,
  type SpeakerState,
} from '../speaker/state.ts';

export type SpeakerObjects = Readonly<Partial<Record<SpeakerResource, readonly KubernetesObject[]>>>;

export function offlineSpeaker(objects: SpeakerObjects, loadBalancerClass: string, sha256: Sha256): SpeakerState {
  const machine = speakerMachine(sha256);
  const node = objects.nodes?.[0]?.metadata.name ?? '';
  let state = initialSpeaker({ ...SPEAKER_DEFAULTS, node, loadBalancerClass });
  for (const resource of SPEAKER_RESOURCES)
    state = machine.step(state, { kind: 'replaced', resource, objects: objects[resource] ?? [] }, 0).next;
  return state;
}
