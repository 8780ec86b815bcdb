/**
 * Recordings, played to the machines that they are of.
 * @module
 */
import { decodeLine, encodeLine, type RecordedLine } from '../../src/adapters/driver/recording.ts';
import { MACHINES } from './machines.ts';

/** What the machine says to each input, one JSON line for each. Throws Error when the text is no recording. */
export function replay(recording: string): string[] {
  const lines = recording.split('\n').filter(Boolean);
  let playing: { readonly step: (input: unknown, now: number) => readonly unknown[] } | undefined;
  return lines.flatMap((text) => {
    const line = decodeLine(text) as RecordedLine;
    if ('machine' in line) {
      playing = begin(line.machine, line.settings);
      return [];
    }
    if (playing === undefined) throw new Error('a recording begins with its machine and the settings of that');
    return encodeLine(playing.step(line.input, line.now));
  });
}

function begin(name: string, settings: unknown) {
  const known = MACHINES[name];
  if (known === undefined)
    throw new Error(`there is no machine ${name}; there are ${Object.keys(MACHINES).join(', ')}`);
  let state = known.initial(settings);
  return {
    step: (input: unknown, now: number) => {
      const { next, outputs } = known.machine.step(state, input, now);
      state = next;
      return outputs;
    },
  };
}
