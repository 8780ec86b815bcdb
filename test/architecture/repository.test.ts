/**
 * What stands around the code: commits, workflows and forms.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseYaml } from '../../src/adapters/files/yaml.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const inFolder = (folder: string) => readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`);
const WORKFLOWS = inFolder('.github/workflows');
const FORMS = inFolder('.github/ISSUE_TEMPLATE');

/** Earlier commits were written before the rule. */
const RULE_SINCE = '2026-11-25T13:20:00Z';
const LONGEST_SUBJECT = 72;

describe('the repository', () => {
  it(`has commit subjects of at most ${LONGEST_SUBJECT} characters, without a full stop`, () => {
    // An archive has no history and a shallow clone little of it; then there is less to look at.
    const { status, stdout } = spawnSync('git', ['log', `--since=${RULE_SINCE}`, '--no-merges', '--format=%s'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    const subjects = status === 0 ? stdout.split('\n').filter(Boolean) : [];
    expect(subjects.filter((subject) => subject.length > LONGEST_SUBJECT || subject.endsWith('.'))).toEqual([]);
  });

  it.each(WORKFLOWS)('%s runs what there is, with few rights', (path) => {
    const workflow = parseYaml(read(path)) as {
      permissions: unknown;
      jobs: Record<string, { 'timeout-minutes'?: number; steps: { uses?: string; run?: string }[] }>;
    };
    expect(workflow.permissions).toEqual({ contents: 'read' });
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    for (const { 'timeout-minutes': limit, steps } of Object.values(workflow.jobs)) {
      expect(limit).toBeTypeOf('number');
      for (const { uses, run = '' } of steps) {
        if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@(v\d+|[0-9a-f]{40})$/);
        for (const [, script] of run.matchAll(/npm run ([\w:]+)/g)) expect(Object.keys(scripts)).toContain(script);
      }
    }
  });

  it.each(FORMS)('%s is a form', (path) => {
    expect(parseYaml(read(path))).toMatchObject(
      path.endsWith('/config.yml')
        ? { blank_issues_enabled: false }
        : { name: expect.any(String), description: expect.any(String), body: expect.any(Array) },
    );
  });

  it('has a Renovate configuration that merges no major version by itself', () => {
    const { packageRules } = JSON.parse(read('renovate.json')) as { packageRules: Record<string, unknown>[] };
    for (const { automerge, matchUpdateTypes = ['major'] } of packageRules)
      if (automerge === true) expect(matchUpdateTypes).not.toContain('major');
  });
});
