/**
 * What the API server sends to webhooks, as far as it matters here: admission.k8s.io/v1 AdmissionReview and apiextensions.k8s.io/v1
 * ConversionReview. Whoever reaches the port may send anything.
 * @module
 */
import * as z from 'zod';
import type { KubernetesObject } from './kubernetes.ts';
import { fieldPath } from './problem.ts';

const texts = z.record(z.string(), z.string()).nullish();

/** An object of any kind: what else it has, its own schema judges. */
const object = z.looseObject({
  apiVersion: z.string().optional(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional(), labels: texts, annotations: texts }),
});

const uid = z.string().min(1);

const change = z.object({ operation: z.enum(['CREATE', 'UPDATE']), uid, object });
const deletion = z.object({ operation: z.literal('DELETE'), uid, oldObject: object });

const admissionReview = z.object({
  apiVersion: z.string(),
  request: z.discriminatedUnion('operation', [change, deletion]),
});

const conversionReview = z.object({
  apiVersion: z.string(),
  request: z.object({ uid, desiredAPIVersion: z.string(), objects: z.array(object) }),
});

export interface AdmissionReview {
  readonly apiVersion: string;
  readonly uid: string;
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  /** The object that is to be written, or deleted. */
  readonly subject: KubernetesObject;
}

export interface ConversionReview {
  readonly apiVersion: string;
  readonly uid: string;
  readonly desiredAPIVersion: string;
  readonly objects: readonly KubernetesObject[];
}

/** `fault` says in one line why it is no such review. */
export type ReadReview<T> = { readonly ok: true; readonly review: T } | { readonly ok: false; readonly fault: string };

export function readAdmissionReview(json: unknown): ReadReview<AdmissionReview> {
  const read = admissionReview.safeParse(json);
  if (!read.success) return { ok: false, fault: faultOf('an AdmissionReview', read.error) };
  const { apiVersion, request } = read.data;
  const { uid, operation } = request;
  const subject = (request.operation === 'DELETE' ? request.oldObject : request.object) as KubernetesObject;
  return { ok: true, review: { apiVersion, uid, operation, subject } };
}

export function readConversionReview(json: unknown): ReadReview<ConversionReview> {
  const read = conversionReview.safeParse(json);
  if (!read.success) return { ok: false, fault: faultOf('a ConversionReview', read.error) };
  const { apiVersion, request } = read.data;
  return { ok: true, review: { apiVersion, ...request, objects: request.objects as readonly KubernetesObject[] } };
}

function faultOf(kind: string, { issues: [first] }: z.ZodError): string {
  const where = first!.path.length === 0 ? '' : `${fieldPath(first!.path)}: `;
  return `the body is not ${kind} of version v1: ${where}${first!.message}`;
}
