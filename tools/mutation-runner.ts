/**
 * Runs unit tests again and again in a copy of the repository whose files somebody else changes: a process of its own, for a mutant
 * may never end. `node mutation-runner.ts ROOT`; by IPC it takes a Job and answers with an Answer.
 * @module
 */
import { join } from 'node:path';
import { createVitest } from 'vitest/node';

export interface Job {
  /** What has changed since the last job, and the files of the tests; relative to the root. */
  readonly changed: readonly string[];
  readonly tests: readonly string[];
}

export interface Answer {
  /** The first test, or file, that failed. */
  readonly failed: string | undefined;
}

const root = process.argv[2]!;
process.chdir(root);
const vitest = await createVitest('test', {
  root,
  project: ['unit'],
  watch: false,
  bail: 1,
  maxWorkers: 1,
  reporters: [{}],
  // A broken invariant is searched for with as many runs as always, and its smallest case is nobody's to read.
  silent: true,
});
await vitest.standalone();
const [project] = vitest.projects;

async function run({ changed, tests }: Job): Promise<Answer> {
  for (const path of changed) vitest.invalidateFile(join(root, path));
  const specifications = tests.map((path) => project!.createSpecification(join(root, path)));
  const { testModules, unhandledErrors } = await vitest.rerunTestSpecifications(specifications);
  // Vitest remembers how others went that ran earlier.
  const wanted = new Set(tests.map((path) => join(root, path)));
  for (const module of testModules) {
    if (!wanted.has(module.moduleId) || module.ok()) continue;
    const [test] = [...module.children.allTests('failed')];
    return { failed: `${module.relativeModuleId}${test === undefined ? '' : `: ${test.fullName}`}` };
  }
  return { failed: unhandledErrors.length > 0 ? String(unhandledErrors[0]) : undefined };
}

process.on('message', (job: Job) => {
  run(job).then(
    (answer) => process.send!(answer),
    (error: unknown) => process.send!({ failed: String(error) } satisfies Answer),
  );
});
process.on('disconnect', () => process.exit());
process.send!('ready');
