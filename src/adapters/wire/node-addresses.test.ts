import { describe, expect, it } from 'vitest';
import { parseAddressDump } from './node-addresses.ts';

const NAMES = new Map([[2, 'eth0']]);
const LOCAL = 2;
const ADDRESS = 1;
const FLAGS = 8;

function attribute(type: number, ...value: number[]): number[] {
  const length = 4 + value.length;
  return [length, 0, type, 0, ...value, ...Array<number>((4 - (length % 4)) % 4).fill(0)];
}

/** One message as the kernel of a little-endian machine writes it. */
function message(type: number, length: number, flags: number, link: number, ...attributes: number[][]): number[] {
  const body = [0, length, flags, 0, link, 0, 0, 0, ...attributes.flat()];
  return [16 + body.length, 0, 0, 0, type, 0, 2, 0, ...Array<number>(8).fill(0), ...body];
}
const NEW = 20;
const DONE = 3;
const read = (...bytes: number[][]) => parseAddressDump(Uint8Array.from(bytes.flat()), NAMES);

describe('the kernel’s list of addresses', () => {
  it('says which are lent for a time: flags are in the message, or in an attribute if they need more room', () => {
    const fixed = message(NEW, 24, 0x80, 2, attribute(ADDRESS, 192, 0, 2, 1), attribute(LOCAL, 192, 0, 2, 1));
    const lent = message(NEW, 24, 0, 2, attribute(LOCAL, 192, 0, 2, 7), attribute(FLAGS, 0, 2, 0, 0));
    const noprefix = message(NEW, 25, 0x80, 2, attribute(LOCAL, 192, 0, 2, 8), attribute(FLAGS, 0x80, 2, 0, 0));
    expect(read(fixed, lent, noprefix)).toEqual({
      isDone: false,
      addresses: [
        { address: '192.0.2.1', length: 24, link: 'eth0', dynamic: false },
        { address: '192.0.2.7', length: 24, link: 'eth0', dynamic: true },
        { address: '192.0.2.8', length: 25, link: 'eth0', dynamic: false },
      ],
    });
  });

  it('has the own end of a link with a peer, IPv6, and links that are gone', () => {
    const peer = message(NEW, 32, 0x80, 2, attribute(ADDRESS, 192, 0, 2, 2), attribute(LOCAL, 192, 0, 2, 1));
    const six = message(NEW, 64, 0x80, 9, attribute(ADDRESS, 0xfd, ...Array<number>(14).fill(0), 7));
    expect(read(peer, six).addresses).toEqual([
      { address: '192.0.2.1', length: 32, link: 'eth0', dynamic: false },
      { address: 'fd00::7', length: 64, link: 'link 9', dynamic: false },
    ]);
  });

  it('ends with the message that says so, and at whatever is cut off', () => {
    const one = message(NEW, 24, 0x80, 2, attribute(LOCAL, 192, 0, 2, 1));
    expect(read(one, message(DONE, 0, 0, 0), one)).toMatchObject({ isDone: true, addresses: [{}] });
    for (let length = 0; length < one.length; length++)
      expect(read(one, one.slice(0, length)).addresses).toHaveLength(1);
    expect(read(message(NEW, 24, 0x80, 2, [200, 0, LOCAL, 0])).addresses).toEqual([]);
  });
});
