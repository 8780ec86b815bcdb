/**
 * The webhook server and its certificates, which it renews by itself.
 * @module
 */
import { certificateFault, createAuthority, issueServerCertificate } from '../../adapters/certificates/self-signed.ts';
import { type Cancel, type Clock, realClock, realWallClock, type WallClock } from '../../adapters/driver/clock.ts';
import { type HttpServer, serve, type Tls } from '../../adapters/http/server.ts';
import { WebhookCertificateStore, type WebhookCertificates } from '../../adapters/kubernetes/webhook-certificates.ts';
import { WEBHOOK_CONFIGURATION } from '../../core/admission/webhooks.ts';
import { type WebhookOptions, webhookHandler } from './webhooks.ts';

export interface WebhookServerOptions extends WebhookOptions {
  readonly port: number;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** The Secret and the Service of the webhook; or, when somebody else cares for certificates, the one to use. */
  readonly certificates: { readonly secret: string; readonly service: string } | Tls;
  /** Default: the clocks of this process. */
  readonly clock?: Clock;
  readonly wallClock?: WallClock;
}

/** Upstream's periods (docs/behaviour/webhooks.md#certificates), in days. */
const LIFETIME = { authority: 3650, server: 365, ahead: 90 };
/** Milliseconds between checks of the certificates and of the API server's trust in them. */
const INTERVAL = 60_000;
const RETRY = 5000;
const CONVERTED = 'bgppeers.metallb.io';

/** Bytes: a review has the object as it was and as it will be, each as long as a request to the API server may be. */
const LONGEST_REVIEW = 8 * 1024 * 1024;

export class WebhookServer {
  readonly #options: WebhookServerOptions;
  readonly #server: HttpServer;
  readonly #store: WebhookCertificateStore | undefined;
  readonly #clock: Clock;
  #served = '';
  #cancel: Cancel = () => {};
  #closed = false;

  private constructor(options: WebhookServerOptions, server: HttpServer, store: WebhookCertificateStore | undefined) {
    this.#options = options;
    this.#server = server;
    this.#store = store;
    this.#clock = options.clock ?? realClock({ unref: true });
  }

  /** Listens at once, with a certificate that nobody trusts until the Secret can be read. Rejects with the system's error. */
  static async start(options: WebhookServerOptions): Promise<WebhookServer> {
    const { certificates, port, client, namespace, minVersion, wallClock = realWallClock } = options;
    const own = 'secret' in certificates ? certificates : undefined;
    const tls =
      'secret' in certificates
        ? await renewed({}, namesOf(certificates.service, namespace), wallClock())
        : certificates;
    const first = 'tls.crt' in tls ? { cert: tls['tls.crt'], key: tls['tls.key'] } : tls;
    const listen = { host: '0.0.0.0', port, tls: { ...first, minVersion }, longestBody: LONGEST_REVIEW };
    const server = await serve(listen, webhookHandler(options));
    const store = own && new WebhookCertificateStore(client, namespace, own.secret);
    const webhooks = new WebhookServer(options, server, store);
    if (store !== undefined) void webhooks.#keep();
    return webhooks;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    await this.#server.close();
  }

  async #keep(): Promise<void> {
    const { log, certificates, namespace, minVersion, wallClock = realWallClock } = this.#options;
    const { service } = certificates as { service: string };
    let next = INTERVAL;
    try {
      const kept = await this.#store!.keep((present) => renewed(present, namesOf(service, namespace), wallClock()));
      if (kept['tls.crt'] !== this.#served) {
        this.#served = kept['tls.crt'];
        this.#server.renew({ cert: kept['tls.crt'], key: kept['tls.key'], minVersion });
        log.info({ event: 'webhookCertificate' }, 'the webhook server has its certificate');
      }
      const outcomes = {
        [WEBHOOK_CONFIGURATION]: await this.#store!.trustWebhooks(WEBHOOK_CONFIGURATION, kept['ca.crt']),
        [CONVERTED]: await this.#store!.trustConversion(CONVERTED, kept['ca.crt']),
      };
      for (const [object, outcome] of Object.entries(outcomes))
        if (outcome === 'changed') log.info({ event: 'caInjected', object }, `the API server now trusts us: ${object}`);
    } catch (error) {
      next = RETRY;
      const { message } = error as Error;
      log.warn({ event: 'webhookCertificateTrouble', error: message }, `webhook certificates: ${message}`);
    }
    if (this.#closed) return;
    this.#cancel = this.#clock.at(this.#clock.now() + next, () => void this.#keep());
  }
}

function namesOf(service: string, namespace: string): string[] {
  return [`${service}.${namespace}.svc`, `${service}.${namespace}`, 'localhost'];
}

/** Keeps what is valid. When the authority expires or is broken, its server certificate is replaced too. */
async function renewed(
  present: Partial<WebhookCertificates>,
  names: readonly string[],
  now: number,
): Promise<WebhookCertificates> {
  const pair = (cert?: string, key?: string) => ({ cert: cert ?? '', key: key ?? '' });
  let authority = pair(present['ca.crt'], present['ca.key']);
  let server = pair(present['tls.crt'], present['tls.key']);
  if (certificateFault(authority, now, LIFETIME.ahead) !== undefined)
    authority = await createAuthority('CN=cert,O=metallb', LIFETIME.authority, now);
  const wanted = { issuer: authority.cert, name: names[0]! };
  if (certificateFault(server, now, LIFETIME.ahead, wanted) !== undefined)
    server = await issueServerCertificate(authority, 'CN=metallb webhook', names, LIFETIME.server, now);
  return { 'ca.crt': authority.cert, 'ca.key': authority.key, 'tls.crt': server.cert, 'tls.key': server.key };
}
