/**
 * Waiting in the lab: for something to be so, as long as there is progress, and never by the clock alone. A machine that
 * has 30 runnable processes for two cores is slow and not broken.
 * @module
 */
import { readFileSync, statSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';

/** A process whose work counts as progress. */
export interface Observed {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  readonly running: boolean;
}

export interface Waiting {
  /** Milliseconds without progress after which to give up, as a core that nobody else wants would count them. */
  readonly patience?: number;
  /** Milliseconds between two looks. */
  readonly interval?: number;
  /** What there is to see meanwhile: a change of it is progress, and a failure tells it. */
  readonly seen?: () => unknown;
  /** Whose work is progress: all that were started, unless said otherwise. */
  readonly processes?: Iterable<Observed>;
}

/** Progress extends the wait up to this many times the patience: a process that retries forever makes progress forever. */
const LONGEST = 4;
/** One look counts for at most this share of the patience: however long it takes itself, there are some more. */
const ONE_LOOK = 1 / 5;
/** This share of the patience lies between two looks at the processes. */
const LOOK_AT_PROCESSES = 1 / 30;
/** Whoever uses more than this share of what a core has for each of its contenders is at work, and no idle timer. */
const AT_WORK = 0.3;
/** Of Linux on every architecture that we know: clock ticks of /proc, in milliseconds. */
const TICK = 10;

const observed = new Set<Observed>();

/** From now on the work of this process is progress for everybody who waits. */
export function observe(process: Observed): void {
  observed.add(process);
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Asks again and again until the answer is something. Throws with `what`, and what was seen last, when nothing moves any more. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  { patience = 15_000, interval = 20, seen, processes = observed }: Waiting = {},
): Promise<T> {
  const began = performance.now();
  const work = new Work(processes, patience * LOOK_AT_PROCESSES);
  let before = began;
  let [idle, total] = [0, 0];
  let last: string | undefined;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== false) return answer;
    const now = performance.now();
    const share = shareOfCore();
    const passed = Math.min((now - before) * share, patience * ONE_LOOK);
    before = now;
    total += passed;
    idle += passed;
    const sight = seen === undefined ? undefined : JSON.stringify(seen());
    if (sight !== last || work.hasGoneOn(now, share)) idle = 0;
    last = sight;
    if (idle > patience || total > LONGEST * patience) {
      const seconds = Math.round((now - began) / 100) / 10;
      throw new Error(
        [
          `gave up after ${seconds} s, ${idle > patience ? 'as nothing moved any more' : 'although something still moved'}: ${what}`,
          ...(last === undefined ? [] : [`seen last: ${last}`]),
          ...work.lastLines(),
        ].join('\n  '),
      );
    }
    await sleep(interval);
  }
}

/** The share of a core that each contender gets. */
function shareOfCore(): number {
  let contenders = loadavg()[0]!;
  try {
    contenders = Number(/ (\d+)\//.exec(readFileSync('/proc/loadavg', 'utf8'))?.[1] ?? contenders);
  } catch {
    // No Linux: the average of a minute has to do.
  }
  return Math.min(1, availableParallelism() / Math.max(1, contenders));
}

interface Trace {
  readonly logged: number;
  readonly running: boolean;
  /** CPU time, in milliseconds. */
  readonly used: number;
}

/** What the observed processes have done since the last look. */
class Work {
  readonly #processes: Iterable<Observed>;
  readonly #interval: number;
  readonly #traces = new Map<Observed, Trace>();
  #at = performance.now();

  constructor(processes: Iterable<Observed>, interval: number) {
    this.#interval = interval;
    this.#processes = processes;
    for (const process of processes) this.#traces.set(process, trace(process));
  }

  hasGoneOn(now: number, share: number): boolean {
    const elapsed = now - this.#at;
    if (elapsed < this.#interval) return false;
    this.#at = now;
    let progress = false;
    for (const process of this.#processes) {
      const before = this.#traces.get(process);
      const after = trace(process);
      this.#traces.set(process, after);
      progress ||=
        before === undefined ||
        after.logged !== before.logged ||
        after.running !== before.running ||
        after.used - before.used > elapsed * share * AT_WORK;
      if (!after.running) observed.delete(process);
    }
    return progress;
  }

  lastLines(): string[] {
    return [...this.#traces.keys()].flatMap((process) => {
      const line = read(process.logFile).trimEnd().split('\n').at(-1);
      return line ? [`${process.name}${process.running ? '' : ' (has ended)'}: ${line}`] : [];
    });
  }
}

function trace({ pid, logFile, running }: Observed): Trace {
  const stat = running ? read(`/proc/${pid}/stat`) : '';
  // Behind the name, which may hold anything: state is field 3, utime and stime are 14 and 15 (proc_pid_stat(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const used = (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK;
  return { logged: statSync(logFile, { throwIfNoEntry: false })?.size ?? 0, running, used };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
