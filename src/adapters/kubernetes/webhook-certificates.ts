/**
 * The certificates of the webhook server: kept in a Secret that all controllers share, renewed in time, and trusted by
 * the API server through the caBundle of each webhook (docs/behaviour/webhooks.md#certificates).
 * @module
 */
import { ApiError, JSON_PATCH, type KubernetesClient } from './client.ts';
import { collectionPath, objectPath } from './resources.ts';

/** PEM texts, by the keys of the Secret. */
export interface WebhookCertificates {
  readonly 'ca.crt': string;
  readonly 'ca.key': string;
  readonly 'tls.crt': string;
  readonly 'tls.key': string;
}

const KEYS = ['ca.crt', 'ca.key', 'tls.crt', 'tls.key'] as const;

interface Secret {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion: string };
  readonly data?: Readonly<Record<string, string>>;
}

interface ClientConfig {
  readonly caBundle?: string;
}

/** Attempts when several controllers write the Secret at once. */
const ATTEMPTS = 5;

export class WebhookCertificateStore {
  readonly #client: KubernetesClient;
  readonly #namespace: string;
  readonly #secret: string;

  constructor(client: KubernetesClient, namespace: string, secret: string) {
    this.#client = client;
    this.#namespace = namespace;
    this.#secret = secret;
  }

  /**
   * Reads the Secret, lets `renew` return what it should contain, and writes it if that differs. If several controllers do
   * so at once, the first wins and the others use its certificates. Rejects with ApiError.
   */
  async keep(
    renew: (present: Partial<WebhookCertificates>) => Promise<WebhookCertificates>,
  ): Promise<WebhookCertificates> {
    for (let attempt = 1; ; attempt++) {
      const secret = await this.#read();
      const present = decode(secret?.data ?? {});
      const wanted = await renew(present);
      if (KEYS.every((key) => present[key] === wanted[key])) return wanted;
      try {
        await this.#write(secret, wanted);
        return wanted;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 409 || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #read(): Promise<Secret | undefined> {
    return orNothing(this.#client.request<Secret>({ path: objectPath('secrets', this.#key) }));
  }

  async #write(secret: Secret | undefined, certificates: WebhookCertificates): Promise<void> {
    const data = Object.fromEntries(KEYS.map((key) => [key, Buffer.from(certificates[key]).toString('base64')]));
    if (secret === undefined) {
      const body = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: this.#secret, namespace: this.#namespace },
        data,
      };
      await this.#client.request({ method: 'POST', path: collectionPath('secrets', this.#namespace), body });
    } else {
      const body = { ...secret, data: { ...secret.data, ...data } };
      await this.#client.request({ method: 'PUT', path: objectPath('secrets', this.#key), body });
    }
  }

  get #key(): string {
    return `${this.#namespace}/${this.#secret}`;
  }

  /**
   * Sets the caBundle of every webhook of a ValidatingWebhookConfiguration to the CA certificate `ca`, in PEM. `absent`: there
   * is no such object. Rejects with ApiError.
   */
  async trustWebhooks(name: string, ca: string): Promise<Outcome> {
    const path = objectPath('validatingwebhookconfigurations', `/${name}`);
    const object = await orNothing(
      this.#client.request<{ webhooks?: { clientConfig: ClientConfig }[] } & Versioned>({ path }),
    );
    if (object === undefined) return 'absent';
    const places = (object.webhooks ?? []).map(
      ({ clientConfig }, i) => [`/webhooks/${i}/clientConfig/caBundle`, clientConfig] as const,
    );
    return this.#inject(path, object, places, ca);
  }

  /** The same for the conversion webhook of a CustomResourceDefinition; `absent` also if it has none. */
  async trustConversion(name: string, ca: string): Promise<Outcome> {
    const path = objectPath('customresourcedefinitions', `/${name}`);
    const object = await orNothing(
      this.#client.request<{ spec: { conversion?: { webhook?: { clientConfig?: ClientConfig } } } } & Versioned>({
        path,
      }),
    );
    const clientConfig = object?.spec.conversion?.webhook?.clientConfig;
    if (object === undefined || clientConfig === undefined) return 'absent';
    return this.#inject(path, object, [['/spec/conversion/webhook/clientConfig/caBundle', clientConfig]], ca);
  }

  async #inject(
    path: string,
    { metadata }: Versioned,
    places: readonly (readonly [string, ClientConfig])[],
    ca: string,
  ): Promise<Outcome> {
    const value = Buffer.from(ca).toString('base64');
    const changes = places
      .filter(([, { caBundle }]) => caBundle !== value)
      .map(([place]) => ({ op: 'add', path: place, value }));
    if (changes.length === 0) return 'unchanged';
    // The paths contain list indices, which are valid only for the version that was read.
    const body = [{ op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion }, ...changes];
    await this.#client.request({ method: 'PATCH', path, contentType: JSON_PATCH, body });
    return 'changed';
  }
}

export type Outcome = 'changed' | 'unchanged' | 'absent';

interface Versioned {
  readonly metadata: { readonly resourceVersion: string };
}

function decode(data: Readonly<Record<string, string>>): Partial<WebhookCertificates> {
  const pairs = KEYS.flatMap((key) => {
    const text = data[key];
    return text === undefined ? [] : [[key, Buffer.from(text, 'base64').toString()] as const];
  });
  return Object.fromEntries(pairs);
}

async function orNothing<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}
