import { describe, expect, it } from 'vitest';
import type { Clock } from '../driver/clock.ts';
import type { KubernetesClient } from './client.ts';
import { TokenReviewer } from './token-review.ts';

/** `asked`: how often the API server was asked whose token that is. */
function reviewer({ authenticated = true, allowed = true, fails = () => false }) {
  const test = { now: 0, asked: 0 };
  const clock: Clock = { now: () => test.now, at: () => () => {} };
  const request = async ({ path }: { path: string }): Promise<unknown> => {
    if (path.endsWith('/subjectaccessreviews')) return { status: { allowed } };
    test.asked++;
    if (fails()) throw new Error('down');
    return { status: { authenticated, user: { username: 'prometheus' } } };
  };
  return { test, reviewer: new TokenReviewer({ request } as unknown as KubernetesClient, clock) };
}

describe('a bearer token', () => {
  it.each([
    ['allowed', {}],
    ['unauthenticated', { authenticated: false }],
    ['forbidden', { allowed: false }],
  ])('is %s as the API server says', async (verdict, answers) => {
    expect(await reviewer(answers).reviewer.review('t', '/metrics')).toBe(verdict);
  });

  it('is asked about once in ten seconds, for each path', async () => {
    const { test, reviewer: one } = reviewer({});
    for (const now of [0, 5000, 10_000]) {
      test.now = now;
      await one.review('t', '/metrics');
    }
    expect(test.asked).toBe(1);
    test.now = 10_001;
    await one.review('t', '/metrics');
    expect(test.asked).toBe(2);
    await one.review('t', '/other');
    await one.review('u', '/metrics');
    expect(test.asked).toBe(4);
  });

  it('is asked about again when the API server could not say', async () => {
    const { test, reviewer: one } = reviewer({ fails: () => test.asked === 1 });
    await expect(one.review('t', '/metrics')).rejects.toThrow('down');
    expect(await one.review('t', '/metrics')).toBe('allowed');
  });
});
