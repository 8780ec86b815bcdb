/**
 * Decides whether the bearer of a token may read our metrics, by asking the API server as Kubernetes' own components do
 * (docs/behaviour/metrics.md).
 * @module
 */
import { type Clock, realClock } from '../driver/clock.ts';
import type { KubernetesClient } from './client.ts';

export type Verdict = 'allowed' | 'unauthenticated' | 'forbidden';

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: { readonly username?: string; readonly uid?: string; readonly groups?: readonly string[] };
  };
}

/** How long a verdict is cached, in milliseconds. */
const LIFETIME = 10_000;

export class TokenReviewer {
  readonly #client: KubernetesClient;
  readonly #clock: Clock;
  readonly #verdicts = new Map<string, { readonly verdict: Promise<Verdict>; readonly until: number }>();

  constructor(client: KubernetesClient, clock: Clock = realClock()) {
    this.#client = client;
    this.#clock = clock;
  }

  /** `path` is the requested non-resource URL, such as `/metrics`. Rejects with ApiError when the API server gives no verdict. */
  review(token: string, path: string): Promise<Verdict> {
    const now = this.#clock.now();
    for (const [key, { until }] of this.#verdicts) if (until < now) this.#verdicts.delete(key);
    const key = `${path} ${token}`;
    const known = this.#verdicts.get(key);
    if (known !== undefined) return known.verdict;
    const verdict = this.#ask(token, path);
    this.#verdicts.set(key, { verdict, until: now + LIFETIME });
    verdict.catch(() => this.#verdicts.delete(key));
    return verdict;
  }

  async #ask(token: string, path: string): Promise<Verdict> {
    const review = await this.#client.request<TokenReview>({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } },
    });
    if (review.status?.authenticated !== true) return 'unauthenticated';
    const { username: user, uid, groups } = review.status.user ?? {};
    const access = await this.#client.request<{ status?: { allowed?: boolean } }>({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: { user, uid, groups, nonResourceAttributes: { path, verb: 'get' } },
      },
    });
    return access.status?.allowed === true ? 'allowed' : 'forbidden';
  }
}
