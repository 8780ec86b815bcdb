/**
 * Reading addresses, against ipaddr.js and against Node's own check.
 * @module
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Bench } from 'tinybench';
import { formatAddress, parseAddress } from '../src/core/net/address.ts';
import { printTable, show } from './table.ts';

const SETS = {
  IPv4: Array.from({ length: 1000 }, (_, i) => `192.168.${i % 256}.${(i * 7) % 256}`),
  IPv6: Array.from({ length: 1000 }, (_, i) => `2001:db8:${(i % 256).toString(16)}::${((i * 7) % 65536).toString(16)}`),
};

export async function benchParse(): Promise<void> {
  const rows: string[][] = [];
  for (const [family, texts] of Object.entries(SETS)) {
    const bench = new Bench({ time: 300 });
    bench.add('ours', () => texts.forEach((text) => void parseAddress(text)));
    bench.add('ipaddr.js', () => texts.forEach((text) => void ipaddr.parse(text)));
    bench.add('node:net isIP (answers no more than which family)', () => texts.forEach((text) => void isIP(text)));
    const parsed = texts.map((text) => parseAddress(text)!);
    const theirs = texts.map((text) => ipaddr.parse(text));
    bench.add('ours, back to text', () => parsed.forEach((address) => void formatAddress(address)));
    bench.add('ipaddr.js, back to text', () => theirs.forEach((address) => void address.toString()));
    await bench.run();
    const median = (name: string) => {
      const result = bench.getTask(name)?.result;
      return result !== undefined && 'latency' in result ? result.latency.p50 * 1000 : Number.NaN;
    };
    for (const { name } of bench.tasks) {
      const reference = name.includes('text') ? 'ours, back to text' : 'ours';
      rows.push([family, name, show(median(name), 'ns'), (median(name) / median(reference)).toFixed(2)]);
    }
  }
  printTable('Addresses, for each', ['family', 'who', 'median', 'relative to ours'], rows);
}
