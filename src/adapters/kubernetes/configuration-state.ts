/**
 * The ConfigurationState of one process: what it thinks of the configuration, for `kubectl get configurationstates`
 * (docs/behaviour/status.md#configurationstate).
 * @module
 */
import { formatProblem, type Problem } from '../../core/api/problem.ts';
import { APPLY_PATCH, ApiError, type KubernetesClient } from './client.ts';
import { collectionPath, objectPath } from './resources.ts';
import { timestamp } from './timestamp.ts';

export interface ConfigurationStateOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** `controller`, or `speaker-NODE`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Type of the condition that this process writes, and the field owner of the write (upstream's names). */
  readonly conditionType: string;
  readonly fieldManager: string;
  /** Own Pod: the object goes with it. Empty: nobody's. */
  readonly podName: string;
  readonly onTrouble: (message: string) => void;
}

/** Milliseconds until a failed write is tried again. */
const RETRY = 5000;

export class ConfigurationState {
  readonly #options: ConfigurationStateOptions;
  #wanted: readonly Problem[] | undefined;
  #busy = false;
  #written: string | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: ConfigurationStateOptions) {
    this.#options = options;
  }

  /** Says what is wrong now; only the newest report counts. Never fails. */
  report(problems: readonly Problem[]): void {
    this.#wanted = problems;
    if (!this.#busy) void this.#work();
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#wanted = undefined;
  }

  async #work(): Promise<void> {
    this.#busy = true;
    clearTimeout(this.#retry);
    while (this.#wanted !== undefined) {
      const problems = this.#wanted;
      this.#wanted = undefined;
      try {
        await this.#write(problems.map(formatProblem).join('\n'));
      } catch (error) {
        this.#options.onTrouble((error as Error).message);
        this.#wanted ??= problems;
        this.#retry = setTimeout(() => void this.#work(), RETRY);
        this.#retry.unref();
        break;
      }
    }
    this.#busy = false;
  }

  async #write(errorSummary: string): Promise<void> {
    const { client, namespace, name, conditionType, fieldManager } = this.#options;
    if (this.#written === errorSummary) return;
    const isValid = errorSummary === '';
    const condition = {
      type: conditionType,
      status: isValid ? 'True' : 'False',
      reason: isValid ? 'Reconciled' : 'ConfigurationError',
      message: errorSummary,
      lastTransitionTime: timestamp(),
    };
    await this.#create();
    const body = {
      apiVersion: 'metallb.io/v1beta1',
      kind: 'ConfigurationState',
      metadata: { name, namespace },
      status: { result: isValid ? 'Valid' : 'Invalid', errorSummary, conditions: [condition] },
    };
    const path = objectPath('configurationstates', `${namespace}/${name}`, 'status');
    await client.request({
      method: 'PATCH',
      path,
      query: { fieldManager, force: true },
      contentType: APPLY_PATCH,
      body,
    });
    this.#written = errorSummary;
  }

  async #create(): Promise<void> {
    const { client, namespace, name, labels, podName } = this.#options;
    const owner = podName === '' ? undefined : await this.#owner();
    const metadata = { name, namespace, labels, ...(owner !== undefined && { ownerReferences: [owner] }) };
    const body = { apiVersion: 'metallb.io/v1beta1', kind: 'ConfigurationState', metadata };
    try {
      await client.request({ method: 'POST', path: collectionPath('configurationstates', namespace), body });
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error;
    }
  }

  async #owner(): Promise<object> {
    const { client, namespace, podName } = this.#options;
    const { metadata } = await client.request({ path: objectPath('pods', `${namespace}/${podName}`) });
    return { apiVersion: 'v1', kind: 'Pod', name: podName, uid: metadata.uid };
  }
}
