import { expect, it } from 'vitest';
import { parseMac } from '../net/mac.ts';
import { encodeRouterAdvertisement, encodeRouterSolicitation, isRouterAdvertisement } from './router-discovery.ts';

const MAC = parseMac('02:00:00:00:00:05')!;
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

it('asks for routers, and says that one is here that is nobody’s default gateway, byte for byte', () => {
  expect(encodeRouterSolicitation(MAC)).toEqual(bytes('85 00 0000 00000000 01 01 020000000005'));
  // Type, code, checksum; hop limit, flags, lifetime; two timers; the link-layer address.
  expect(encodeRouterAdvertisement(MAC)).toEqual(bytes('86 00 0000 00 00 0000 00000000 00000000 01 01 020000000005'));
});

it.each([
  ['our own', encodeRouterAdvertisement(MAC), true],
  ['the shortest', bytes('8600 0000 40 00 0708 00000000 00000000'), true],
  ['one that is too short', bytes('8600 0000 40 00 0708 00000000 000000'), false],
  ['another code', bytes('8601 0000 40 00 0708 00000000 00000000'), false],
  ['another type', encodeRouterSolicitation(MAC), false],
  ['nothing', new Uint8Array(), false],
])('knows a Router Advertisement: %s', (_, message, expected) => {
  expect(isRouterAdvertisement(message)).toBe(expected);
});
