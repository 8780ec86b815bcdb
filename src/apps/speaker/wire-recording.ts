/**
 * The recordings of the wire's machines. The wire Worker never waits for a disk: it hands every line to the main thread.
 * @module
 */
import { Recorder } from '../../adapters/driver/recording.ts';
import type { FromWire } from '../../adapters/wire/messages.ts';

export class WireRecording {
  readonly #path: string;
  /** By what is recorded. */
  readonly #recorders = new Map<string, Recorder>();

  /** Each machine gets a file of its own: `path`, a dot, and what it is. */
  constructor(path: string) {
    this.#path = path;
  }

  write({ of, line }: Extract<FromWire, { kind: 'recorded' }>): void {
    const recorder = this.#recorders.get(of) ?? new Recorder(`${this.#path}.${of}`);
    this.#recorders.set(of, recorder);
    recorder.write(line);
  }

  /** Calls back when everything is written; at once when nothing was. */
  close(onClosed: () => void): void {
    const recorders = [...this.#recorders.values()];
    if (recorders.length === 0) onClosed();
    else void Promise.all(recorders.map((recorder) => recorder.close())).then(onClosed);
  }
}
