/**
 * Errors as Kubernetes clients expect them (meta/v1 Status).
 * @module
 */

export interface StatusCause {
  readonly field: string;
  readonly message: string;
  readonly reason?: string;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Expired',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  500: 'InternalError',
};

/** Thrown anywhere below the request handler, which turns it into the response. */
export class StatusError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: {
    readonly name?: string;
    readonly group?: string;
    readonly kind?: string;
    readonly causes?: readonly StatusCause[];
  };

  constructor(
    code: number,
    message: string,
    details: StatusError['details'] = {},
    reason = REASONS[code] ?? 'Unknown',
  ) {
    super(message);
    this.code = code;
    this.details = details;
    this.reason = reason;
  }

  /** The Status object. */
  toObject(): object {
    const { code, message, reason, details } = this;
    return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, details, code };
  }
}

/** 422 Invalid with one cause per fault; `kind`, `group` and `name` identify the object. */
export function invalid(kind: string, group: string, name: string, causes: readonly StatusCause[]): StatusError {
  const list = causes.map(({ field, message }) => `${field}: ${message}`);
  const text = list.length === 1 ? list[0]! : `[${list.join(', ')}]`;
  const title = group === '' ? kind : `${kind}.${group}`;
  return new StatusError(422, `${title} "${name}" is invalid: ${text}`, { kind, group, name, causes });
}
