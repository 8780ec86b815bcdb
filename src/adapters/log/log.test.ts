import { expect, it } from 'vitest';
import { through } from './log.ts';

/** What reaches the log of one line. */
function logged(line: object): string {
  const written: string[] = [];
  through({ write: (text) => written.push(text) }).write(`${JSON.stringify(line)}\n`);
  return written.join('');
}

it('lets nothing into the log that moves a cursor, and keeps what it means', () => {
  const line = { msg: 'a\u001b[31m\u009b\u202e\u007f' };
  const text = logged(line);
  expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(JSON.parse(text)).toEqual(line);
});

it('bounds every value', () => {
  const long = 'x'.repeat(5000);
  const { msg, pools, level } = JSON.parse(logged({ level: 'info', msg: long, pools: ['p', long] })) as Record<
    string,
    string[]
  >;
  expect([level, pools![0]]).toEqual(['info', 'p']);
  expect(msg).toHaveLength(2048);
  expect(pools![1]).toMatch(/x … \(5000 characters\)$/);
});
