/**
 * `npm run mutate -- [--room core/ipam …] [--sample N] [--seed N] [--workers N]`: makes one-token mistakes in copies of the repository, and tells
 * which ones no unit test notices. The seed decides which: the same one takes the same mutants.
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { must } from '../lab/net/shell.ts';
import { Random } from '../sim/random.ts';
import { importedFiles } from '../test/architecture/imports.ts';
import { apply, type Mutant, mutantsOf } from './mutants.ts';
import type { Answer, Job } from './mutation-runner.ts';

const ROOMS = ['ipam', 'election', 'bgp', 'bfd', 'liveness', 'layer2', 'config'].map((room) => `core/${room}`);
/** A mutant that takes this many times as long as no mutant, and some, never ends. */
const PATIENCE = { times: 5, more: 15_000 };

const { values } = parseArgs({
  options: {
    room: { type: 'string', multiple: true, default: ROOMS },
    sample: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    // Runs the simulation too when nothing else notices.
    simulate: { type: 'boolean', default: false },
  },
});

const root = process.cwd();
const files = must(['git', 'ls-files', '--cached', '--others', '--exclude-standard'])
  .split('\n')
  .filter(
    (path) => /^(src|test|sim|lab|tools|bench|image|docs|charts|config|\.github|bin|[^/]*$)/.test(path) && path !== '',
  );
const sources = new Map(
  files
    .filter((path) => /^(src|test|sim|lab|tools)\/.*\.ts$/.test(path))
    .map((path) => [path, readFileSync(path, 'utf8')]),
);
const isUnitTest = (path: string) => /^(src|test\/(replay|unit))\/.*\.test\.ts$/.test(path) || isSimulation(path);
const isSimulation = (path: string) => /^sim\/.*\.test\.ts$/.test(path);

interface Case {
  readonly path: string;
  readonly mutant: Mutant;
}

type Verdict =
  | { readonly kind: 'killed' }
  | { readonly kind: 'hung' }
  | { readonly kind: 'survived'; readonly case: Case };

/** Whom a file reaches: the tests that import it, however indirectly, in turns, the quick ones first. */
function testsOf(path: string, room: string): readonly (readonly string[])[] {
  const importers = new Map<string, string[]>();
  for (const [from, source] of sources)
    for (const to of importedFiles(from, source)) importers.set(to, [...(importers.get(to) ?? []), from]);
  const reached = new Set([path]);
  for (const item of reached) for (const from of importers.get(item) ?? []) reached.add(from);
  // Some rooms are tested by a simulation of them alone.
  const own = [`src/${room}/`, `sim/${room.split('/')[1]}`];
  const isOwn = (test: string) => own.some((start) => test.startsWith(start));
  const tests = [...reached].filter(isUnitTest).filter((test) => values.simulate || !isSimulation(test) || isOwn(test));
  const turnOf = (test: string) => Number(!isOwn(test)) * 2 + Number(isSimulation(test));
  const turns = Map.groupBy(tests, turnOf);
  return [...turns].sort(([a], [b]) => a - b).map(([, group]) => group);
}

/** A copy of the repository with a process that runs its tests. */
class Worker {
  readonly #directory = mkdtempSync(join(tmpdir(), 'metallb-mutate-'));
  #process: ChildProcess | undefined;
  /** The mutant of the last job is still in the copy. */
  #dirty: string | undefined;

  constructor() {
    for (const path of files) {
      mkdirSync(join(this.#directory, dirname(path)), { recursive: true });
      cpSync(join(root, path), join(this.#directory, path), { dereference: true });
    }
    symlinkSync(realpathSync(join(root, 'node_modules')), join(this.#directory, 'node_modules'));
  }

  /** Undefined: it did not end in time. */
  async run(tests: readonly string[], limit: number, wanted?: Case): Promise<Answer | undefined> {
    const changed = new Set<string>();
    if (this.#dirty !== undefined && this.#dirty !== wanted?.path) {
      writeFileSync(join(this.#directory, this.#dirty), sources.get(this.#dirty)!);
      changed.add(this.#dirty);
      this.#dirty = undefined;
    }
    if (wanted !== undefined) {
      writeFileSync(join(this.#directory, wanted.path), apply(sources.get(wanted.path)!, wanted.mutant));
      changed.add(wanted.path);
      this.#dirty = wanted.path;
    }
    const runner = await this.#start();
    return new Promise((resolve) => {
      const done = (answer: Answer | undefined) => {
        clearTimeout(timer);
        runner.off('message', done);
        runner.off('exit', ended);
        resolve(answer);
      };
      const ended = () => {
        this.#process = undefined;
        done({ failed: 'the process' });
      };
      const timer = setTimeout(() => {
        this.#kill();
        done(undefined);
      }, limit);
      runner.once('message', done);
      runner.once('exit', ended);
      runner.send({ changed: [...changed], tests } satisfies Job);
    });
  }

  async #start(): Promise<ChildProcess> {
    if (this.#process !== undefined) return this.#process;
    const script = join(this.#directory, 'tools/mutation-runner.ts');
    const flags = ['--disable-warning=ExperimentalWarning'];
    // Fuzzing finds in few inputs what a mistake does to many.
    const env = { ...process.env, FUZZ: '3000' };
    const runner = fork(script, [this.#directory], {
      execArgv: flags,
      env,
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#process = runner;
    await new Promise<void>((resolve, reject) => {
      runner.once('message', () => resolve());
      runner.once('exit', () => reject(new Error('the runner ended before it began')));
    });
    return runner;
  }

  /** With the processes that it started. */
  #kill(): void {
    if (this.#process?.pid !== undefined) process.kill(-this.#process.pid, 'SIGKILL');
    this.#process = undefined;
  }

  end(): void {
    this.#kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A sample of all mutants of a room, in the order of the source. */
function sampleOf(room: string): { readonly all: number; readonly sample: readonly Case[] } {
  const cases = [...sources]
    .filter(([path]) => path.startsWith(`src/${room}/`) && !path.endsWith('.test.ts'))
    .flatMap(([path, source]) => mutantsOf(source).map((mutant): Case => ({ path, mutant })));
  const random = new Random(Number(values.seed));
  const places = cases.map((_, i) => i);
  for (let i = places.length - 1; i > 0; i--) {
    const j = random.between(0, i);
    [places[i], places[j]] = [places[j]!, places[i]!];
  }
  const chosen = places.slice(0, Number(values.sample)).sort((a, b) => a - b);
  return { all: cases.length, sample: chosen.map((place) => cases[place]!) };
}

async function judge(
  worker: Worker,
  room: string,
  item: Case,
  baseline: ReadonlyMap<string, number>,
): Promise<Verdict> {
  for (const tests of testsOf(item.path, room)) {
    const usual = tests.reduce((sum, test) => sum + (baseline.get(test) ?? 0), 0);
    const answer = await worker.run(tests, PATIENCE.times * usual + PATIENCE.more, item);
    if (answer === undefined) return { kind: 'hung' };
    if (answer.failed !== undefined) return { kind: 'killed' };
  }
  return { kind: 'survived', case: item };
}

/** How long each test file takes without a mutant, in milliseconds. Throws when one fails. */
async function measure(worker: Worker, tests: Iterable<string>): Promise<Map<string, number>> {
  const took = new Map<string, number>();
  for (const test of tests) {
    const began = performance.now();
    const answer = await worker.run([test], 1_200_000);
    if (answer?.failed !== undefined) throw new Error(`fails without any mutant: ${answer.failed}`);
    took.set(test, performance.now() - began);
  }
  return took;
}

async function mutate(workers: readonly Worker[], room: string, baseline: Map<string, number>): Promise<Verdict[]> {
  const { all, sample } = sampleOf(room);
  const needed = new Set(sample.flatMap(({ path }) => testsOf(path, room).flat()));
  for (const [test, took] of await measure(
    workers[0]!,
    [...needed].filter((test) => !baseline.has(test)),
  ))
    baseline.set(test, took);
  const queue = [...sample];
  const verdicts: Verdict[] = [];
  await Promise.all(
    workers.map(async (worker) => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift())
        verdicts.push(await judge(worker, room, item, baseline));
    }),
  );
  report(`${room}, ${sample.length} of ${all}`, verdicts);
  const survivors = verdicts.flatMap((verdict) => (verdict.kind === 'survived' ? [verdict.case] : []));
  const place = ({ path, mutant }: Case) => `${path}:${String(mutant.line).padStart(5)}`;
  for (const survivor of survivors.sort((a, b) => place(a).localeCompare(place(b))))
    console.log(`  ${survivor.path}:${survivor.mutant.line}  ${survivor.mutant.change}`);
  return verdicts;
}

function report(what: string, verdicts: readonly Verdict[]): void {
  const count = (kind: Verdict['kind']) => verdicts.filter((verdict) => verdict.kind === kind).length;
  const killed = count('killed') + count('hung');
  console.log(
    `${what}: ${killed} killed (${count('hung')} never ended), ${count('survived')} survived, score ${Math.round((100 * killed) / Math.max(1, verdicts.length))} %`,
  );
}

const workers = Array.from({ length: Number(values.workers) }, () => new Worker());
const end = () => {
  for (const worker of workers) worker.end();
};
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => {
    end();
    process.exit(code);
  });
try {
  const baseline = new Map<string, number>();
  const verdicts: Verdict[] = [];
  for (const room of values.room) verdicts.push(...(await mutate(workers, room, baseline)));
  if (values.room.length > 1) report(`all, seed ${values.seed}`, verdicts);
} finally {
  end();
}
