/**
 * Who speaks BGP for this node: this process (native-bgp.ts), or an FRR that others share (frr-k8s-bgp.ts).
 * @module
 */
import type { FromWire } from '../../adapters/wire/messages.ts';
import type { Interface } from '../../core/layer2/messages.ts';
import type { BgpOutput } from '../../core/speaker/state.ts';

export interface BgpBackend {
  /** The whole of what the routers are to hold. */
  set(output: BgpOutput): void;
  /** The links that can be used now. */
  links(links: readonly Interface[]): void;
  onFact(fact: Extract<FromWire, { kind: 'bfd-changed' | 'bfd-counts' | 'router-found' }>): void;
  /** Everything has been set for the first time: what an earlier life left behind may go. */
  sweep(): void;
  /** Asks routers to prefer other nodes; true when they need a moment for it. */
  drain(): boolean;
  /** Calls back when routers and the API server have been told. */
  stop(onStopped: () => void): void;
}
