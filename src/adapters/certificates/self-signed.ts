/**
 * Creates a certificate authority, and server certificates signed by it.
 * @module
 */
import 'reflect-metadata'; // @peculiar/x509 does not load without it
import { randomBytes, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate as PeculiarCertificate,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { realWallClock } from '../driver/clock.ts';

/** A certificate and its private key, both in PEM. */
export interface CertifiedKey {
  readonly cert: string;
  readonly key: string;
}

/** What a server needs, and what its clients need to trust it; all in PEM. */
export interface ServerCertificate extends CertifiedKey {
  readonly ca: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY = 86_400_000;

/** Makes an authority, valid for `days` days from `now` (milliseconds since 1970). `name` is its subject, such as `CN=cert,O=metallb`. */
export async function createAuthority(name: string, days: number, now: number): Promise<CertifiedKey> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const cert = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name,
    ...period(days, now),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  });
  return { cert: cert.toString('pem'), key: await exportKey(keys.privateKey) };
}

/** Makes a server certificate for DNS names and IP addresses, valid for `days` days from `now` (milliseconds since 1970). */
export async function issueServerCertificate(
  authority: CertifiedKey,
  subject: string,
  names: readonly string[],
  days: number,
  now: number,
): Promise<CertifiedKey> {
  const pkcs8 = PemConverter.decodeFirst(authority.key);
  const signingKey = await crypto.subtle.importKey('pkcs8', pkcs8, ALGORITHM, false, ['sign']);
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const cert = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject,
    issuer: new PeculiarCertificate(authority.cert).subject,
    ...period(days, now),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value })),
      ),
    ],
  });
  return { cert: cert.toString('pem'), key: await exportKey(keys.privateKey) };
}

/** Makes an authority and a server certificate, valid for ten years. The private key of the authority is discarded. */
export async function createServerCertificate(names: readonly string[]): Promise<ServerCertificate> {
  const days = 3650;
  const now = realWallClock();
  const authority = await createAuthority('CN=metallb embedded API CA', days, now);
  const server = await issueServerCertificate(authority, 'CN=metallb embedded API', names, days, now);
  return { ca: authority.cert, ...server };
}

/**
 * Why a certificate has to be replaced; undefined: it is good for at least `ahead` more days. `now` is in milliseconds since 1970.
 * `issuer` is the certificate of the expected authority in PEM, `name` a DNS name that the certificate must cover.
 */
export function certificateFault(
  { cert, key }: CertifiedKey,
  now: number,
  ahead: number,
  { issuer, name }: { readonly issuer?: string; readonly name?: string } = {},
): string | undefined {
  try {
    const parsed = new X509Certificate(cert);
    if (Date.parse(parsed.validTo) < now + ahead * DAY) return `it expires on ${parsed.validTo}`;
    if (Date.parse(parsed.validFrom) > now) return `it is not valid before ${parsed.validFrom}`;
    if (PemConverter.decode(key).length === 0) return 'it has no private key';
    if (name !== undefined && parsed.checkHost(name) === undefined) return `it is not for ${name}`;
    if (issuer !== undefined && !parsed.verify(new X509Certificate(issuer).publicKey))
      return 'it was signed by another authority';
    return undefined;
  } catch (error) {
    return `it cannot be read: ${(error as Error).message}`;
  }
}

function period(days: number, now: number): { notBefore: Date; notAfter: Date } {
  // A day back, because the clocks of a cluster differ.
  return { notBefore: new Date(now - DAY), notAfter: new Date(now + days * DAY) };
}

function randomSerial(): string {
  // A leading zero byte, because serial numbers are positive (RFC 5280 §4.1.2.2).
  return `00${randomBytes(16).toString('hex')}`;
}

async function exportKey(key: Parameters<typeof crypto.subtle.exportKey>[1]): Promise<string> {
  return PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}
