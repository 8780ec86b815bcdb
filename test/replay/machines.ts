/**
 * The machines by the name of their room, as recordings know them.
 * @module
 */
import { sha256 } from '../../src/adapters/sha256.ts';
import { type BfdSettings, bfdMachine, initialBfd } from '../../src/core/bfd/fsm.ts';
import { peersMachine } from '../../src/core/bgp/peers/fsm.ts';
import { initialPeers } from '../../src/core/bgp/peers/state.ts';
import { sessionMachine } from '../../src/core/bgp/session/fsm.ts';
import type { SessionSettings } from '../../src/core/bgp/session/negotiation.ts';
import { initialSession } from '../../src/core/bgp/session/state.ts';
import { controllerMachine } from '../../src/core/controller/fsm.ts';
import { type ControllerSettings, initialController } from '../../src/core/controller/state.ts';
import { initialLeadership, leadershipMachine } from '../../src/core/kubernetes/leadership/fsm.ts';
import { initialReflector, reflectorMachine } from '../../src/core/kubernetes/reflector/fsm.ts';
import { layer2Machine } from '../../src/core/layer2/fsm.ts';
import { initialLayer2, type Layer2Settings } from '../../src/core/layer2/state.ts';
import { livenessMachine } from '../../src/core/liveness/fsm.ts';
import { initialLiveness, type LivenessSettings } from '../../src/core/liveness/state.ts';
import type { Machine } from '../../src/core/machine.ts';
import { speakerMachine } from '../../src/core/speaker/fsm.ts';
import { initialSpeaker, SPEAKER_DEFAULTS, type SpeakerSettings } from '../../src/core/speaker/state.ts';

interface Replayable {
  readonly machine: Machine<unknown, unknown, unknown>;
  readonly initial: (settings: unknown) => unknown;
}

const entry = <S, I, O>(machine: Machine<S, I, O>, initial: (settings: never) => S) =>
  ({ machine, initial }) as unknown as Replayable;

export const MACHINES: Readonly<Record<string, Replayable>> = {
  controller: entry(controllerMachine, (settings: ControllerSettings) => initialController(settings)),
  speaker: entry(speakerMachine(sha256), (settings: SpeakerSettings) =>
    initialSpeaker({ ...SPEAKER_DEFAULTS, ...settings }),
  ),
  reflector: entry(reflectorMachine, ({ seed }: { readonly seed: number }) => initialReflector(seed)),
  liveness: entry(livenessMachine, (settings: LivenessSettings) => initialLiveness(settings)),
  bfd: entry(bfdMachine, (settings: BfdSettings) => initialBfd(settings)),
  'bgp-session': entry(sessionMachine, (settings: SessionSettings) => initialSession(settings)),
  'bgp-peers': entry(peersMachine, () => initialPeers()),
  leadership: entry(leadershipMachine, (identity: string) => initialLeadership(identity)),
  layer2: entry(layer2Machine, (settings: Layer2Settings) => initialLayer2(settings)),
};
