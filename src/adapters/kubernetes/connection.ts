/**
 * The address of the API server and the credentials for it: kubeconfig, exec plugins, in-cluster tokens.
 * @module
 */
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { type AgentOptions, Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { realClock } from '../driver/clock.ts';
import { AdapterError, firstLine } from '../errors.ts';

/** Credentials may rotate, so they are read again after this many milliseconds. */
const CREDENTIALS_LIFETIME = 10_000;

type Credentials = Pick<RequestOptions, 'headers' | 'auth'> & {
  readonly agent: HttpAgent;
  readonly watchAgent: HttpAgent;
};

export class Connection {
  readonly server: URL;
  /** Namespace of the context, if it names one. */
  readonly namespace: string | undefined;
  readonly #config: KubeConfig;
  readonly #clock = realClock();
  #credentials: { readonly value: Promise<Credentials>; readonly until: number } | undefined;
  #agents: { readonly key: string; readonly agent: HttpAgent; readonly watchAgent: HttpAgent } | undefined;

  private constructor(config: KubeConfig, server: URL) {
    this.#config = config;
    this.server = server;
    this.namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  }

  /** Reads `path` or, without it, $KUBECONFIG, ~/.kube/config or the pod's service account. Throws AdapterError. */
  static open(path?: string): Connection {
    const config = new KubeConfig();
    const where = path ?? process.env.KUBECONFIG ?? '~/.kube/config or the service account of the pod';
    try {
      if (path === undefined) config.loadFromDefault();
      else {
        readFileSync(path);
        config.loadFromFile(path);
      }
    } catch (error) {
      throw new AdapterError(
        'kubeconfig-unreadable',
        `the kubeconfig (${where}) cannot be read: ${firstLine(error)}`,
        error,
      );
    }
    const server = config.getCurrentCluster()?.server;
    if (server === undefined || !URL.canParse(server)) {
      throw new AdapterError(
        'kubeconfig-incomplete',
        `the kubeconfig (${where}) has no current context with a cluster that names its server`,
      );
    }
    return new Connection(config, new URL(server));
  }

  /** Headers and agents for the next request. Rejects with the error of the kubeconfig or its exec plugin. */
  credentials(): Promise<Credentials> {
    const now = this.#clock.now();
    if (this.#credentials === undefined || this.#credentials.until < now) {
      this.#credentials = { value: this.#read(), until: now + CREDENTIALS_LIFETIME };
    }
    return this.#credentials.value;
  }

  /** To be called when the server refused the credentials: the next request reads them again. */
  forgetCredentials(): void {
    this.#credentials = undefined;
  }

  async #read(): Promise<Credentials> {
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options as Parameters<KubeConfig['applyToHTTPSOptions']>[0]);
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
    const tls = { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername };
    const { agent, watchAgent } = this.#agentsFor(
      Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
    );
    return {
      agent,
      watchAgent,
      ...(options.headers !== undefined && { headers: options.headers }),
      ...(options.auth !== undefined && { auth: options.auth }),
    };
  }

  #agentsFor(tls: AgentOptions) {
    const key = JSON.stringify(tls, (_name, value) => (Buffer.isBuffer(value) ? value.toString('base64') : value));
    if (this.#agents?.key === key) return this.#agents;
    const secure = this.server.protocol === 'https:';
    const make = (limit: Pick<AgentOptions, 'maxSockets'>) => {
      const options = { keepAlive: true, ...limit };
      return secure ? new HttpsAgent({ ...options, ...tls }) : new HttpAgent(options);
    };
    this.#agents = { key, agent: make({ maxSockets: MAX_REQUESTS }), watchAgent: make({}) };
    return this.#agents;
  }
}

/** Limit of concurrent requests, watches not counted. The rest is left to the server's API Priority and Fairness. */
export const MAX_REQUESTS = 32;
