import { expect, it } from 'vitest';
import { sessionLabel } from './peer-label.ts';

it('a label is bounded, whatever name of an interface a BGPPeer has', () => {
  const label = (name: string) => sessionLabel({ target: { kind: 'interface', name }, port: 179 });
  expect(label('eth0')).toBe('eth0:179');
  expect(label('x'.repeat(100_000))).toMatch(/^x+ … \(100000 characters\):179$/);
  expect(label('x'.repeat(100_000)).length).toBeLessThan(100);
});
