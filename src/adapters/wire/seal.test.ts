import { describe, expect, it } from 'vitest';
import { createSeal } from './seal.ts';

const secret = Buffer.from('a secret of the cluster');
const content = Buffer.from('kube-01 is here');

describe('a sealed message', () => {
  it('is opened by who knows the secret, and says nothing to who does not', () => {
    const sealed = createSeal([secret]).seal(content, 'kube-02');
    expect(createSeal([secret]).open(sealed, 'kube-02')).toEqual(content);
    expect(Buffer.from(sealed).includes('kube-01')).toBe(false);
    expect(createSeal([Buffer.from('another')]).open(sealed, 'kube-02')).toBeUndefined();
    expect(createSeal([secret]).open(sealed, 'kube-03')).toBeUndefined();
  });

  it('is refused when one bit of it was changed, or when it is cut', () => {
    const seal = createSeal([secret]);
    const sealed = seal.seal(content, 'kube-02');
    for (let i = 0; i < sealed.length; i++) {
      const changed = Uint8Array.from(sealed);
      changed[i]! ^= 1;
      expect(seal.open(changed, 'kube-02')).toBeUndefined();
      expect(seal.open(sealed.subarray(0, i), 'kube-02')).toBeUndefined();
    }
  });

  it('never looks the same twice', () => {
    const seal = createSeal([secret]);
    const texts = new Set(
      Array.from({ length: 1000 }, () => Buffer.from(seal.seal(content, 'kube-02')).toString('hex')),
    );
    expect(texts.size).toBe(1000);
  });

  it('is as it is without a secret', () => {
    expect(createSeal([]).open(createSeal([]).seal(content, 'kube-02'), 'kube-02')).toBe(content);
  });
});

describe('several keys', () => {
  const content = Buffer.from('content');
  const [old, next] = [Buffer.from('old'), Buffer.from('next')];

  it('the first seals, all of them open', () => {
    const sealed = createSeal([next, old]).seal(content, 'kube-02');
    expect(createSeal([old]).open(sealed, 'kube-02')).toBeUndefined();
    for (const keys of [[next], [next, old], [old, next]])
      expect(createSeal(keys).open(sealed, 'kube-02')).toEqual(content);
  });

  it('have a mark for each receiver, by which the kernel knows what is for it', () => {
    const seal = createSeal([next, old]);
    const { prefixes, leastBytes } = seal.mark('kube-02');
    const sealed = Buffer.from(seal.seal(Buffer.from('x'), 'kube-02'));
    expect(prefixes[0]).toBe(sealed.readUInt32BE(0));
    expect(leastBytes).toBe(sealed.length);
    expect(prefixes[1]).toBe(createSeal([old]).mark('kube-02').prefixes[0]);
    expect(seal.mark('kube-03').prefixes).not.toContain(prefixes[0]);
  });
});
