/**
 * NOTIFICATION codes and subcodes with their descriptions (RFC 4271 §4.5, RFC 4486, RFC 6608, RFC 7313).
 * @module
 */

export const NOTIFICATION_CODES = {
  'message-header': 1,
  open: 2,
  update: 3,
  'hold-timer-expired': 4,
  fsm: 5,
  cease: 6,
  'route-refresh': 7,
} as const;
export type NotificationCode = keyof typeof NOTIFICATION_CODES;

/** Descriptions of subcodes, by code and subcode on the wire. */
const SUBCODES: Readonly<Record<number, Readonly<Record<number, string>>>> = {
  1: { 1: 'connection not synchronized', 2: 'bad message length', 3: 'bad message type' },
  2: {
    1: 'unsupported version number',
    2: 'bad peer AS: the router is set to another AS number for us, or we for it (myASN, peerASN)',
    3: 'bad BGP identifier',
    4: 'unsupported optional parameter',
    6: 'unacceptable hold time',
    7: 'unsupported capability',
    8: 'role mismatch',
  },
  3: {
    1: 'malformed attribute list',
    2: 'unrecognized well-known attribute',
    3: 'missing well-known attribute',
    4: 'attribute flags error',
    5: 'attribute length error',
    6: 'invalid ORIGIN attribute',
    8: 'invalid NEXT_HOP attribute',
    9: 'optional attribute error',
    10: 'invalid network field',
    11: 'malformed AS_PATH',
  },
  5: {
    1: 'unexpected message in OpenSent',
    2: 'unexpected message in OpenConfirm',
    3: 'unexpected message in Established',
  },
  6: {
    1: 'maximum number of prefixes reached',
    2: 'administrative shutdown',
    3: 'peer de-configured: the router has no neighbor with our address',
    4: 'administrative reset',
    5: 'connection rejected: the router does not expect us, or not from this address',
    6: 'other configuration change',
    7: 'connection collision resolution',
    8: 'out of resources',
    9: 'hard reset',
    10: 'BFD down',
  },
  7: { 1: 'invalid message length' },
};

const CODE_WORDS: Readonly<Record<number, string>> = {
  1: 'message header error',
  2: 'OPEN message error',
  3: 'UPDATE message error',
  4: 'hold timer expired',
  5: 'finite state machine error',
  6: 'cease',
  7: 'ROUTE-REFRESH message error',
};

/** Describes a code and subcode, known or not, for people. */
export function describeNotification(code: number, subcode: number): string {
  const word = CODE_WORDS[code] ?? `code ${code}`;
  const sub = SUBCODES[code]?.[subcode] ?? (subcode === 0 ? undefined : `subcode ${subcode}`);
  return sub === undefined ? word : `${word}: ${sub}`;
}

/** An error for which the session ends with this NOTIFICATION. `message` is for our own log. */
export interface BgpError {
  readonly code: NotificationCode;
  readonly subcode: number;
  readonly data: Uint8Array;
  readonly message: string;
}

export function bgpError(code: NotificationCode, subcode: number, message: string, data = new Uint8Array()): BgpError {
  return { code, subcode, data, message };
}
