import { beforeEach, describe, expect, it } from 'vitest';
import { Metrics } from './metrics.ts';

let metrics: Metrics;
beforeEach(() => {
  metrics = new Metrics();
});

/** The series with the label value, without their numbers. */
async function seriesWith(value: string): Promise<string[]> {
  const { body } = await metrics.scrape();
  return body.split('\n').flatMap((line) => (line.includes(`"${value}"`) ? line.replace(/ \S+$/, '') : []));
}

async function seriesCount(): Promise<number> {
  const { body } = await metrics.scrape();
  return body.split('\n').filter((line) => line.startsWith('metallb_')).length;
}

describe('series end with what they are about', () => {
  it('an address that is not announced at layer 2 any more', async () => {
    metrics.layer2Announces(new Set(['192.0.2.1', '192.0.2.2']));
    for (const ip of ['192.0.2.1', '192.0.2.2'])
      for (const counter of ['requests_received', 'responses_sent', 'gratuitous_sent', 'conflicts_seen'] as const)
        metrics.layer2(counter, ip, 1);
    metrics.layer2Announces(new Set(['192.0.2.2']));
    expect(await seriesWith('192.0.2.1')).toEqual([]);
    expect(await seriesWith('192.0.2.2')).toHaveLength(4);
    metrics.layer2('responses_sent', '192.0.2.1', 1);
    expect(await seriesWith('192.0.2.1')).toEqual([]);
  });

  it('65,536 addresses, one after the other', async () => {
    const before = await seriesCount();
    for (let i = 0; i < 65_536; i++) {
      const ip = `192.168.${i >> 8}.${i & 255}`;
      metrics.layer2Announces(new Set([ip]));
      metrics.layer2('requests_received', ip, 1);
      metrics.announced('layer2', 'a/s', 'n', [ip]);
      metrics.announced('bgp', 'a/s', 'n', [ip]);
    }
    expect(await seriesCount()).toBe(before + 3);
  });

  it('a Service that is announced elsewhere', async () => {
    metrics.announced('layer2', 'a/s', 'n', ['192.0.2.1']);
    metrics.announced('layer2', 'a/s', 'n', []);
    expect(await seriesWith('a/s')).toEqual([]);
  });

  it('a router that BFD watches no more, while BGP with it goes on', async () => {
    metrics.bfdWatches(new Set(['192.0.2.1']));
    metrics.bfdSession('192.0.2.1', true);
    metrics.bfdCounted('192.0.2.1', 'control_packet_input', 1);
    metrics.bgpSession('192.0.2.1:179', true, 0, 0);
    expect(await seriesWith('192.0.2.1')).toHaveLength(2);
    metrics.bfdWatches(new Set());
    metrics.bfdSession('192.0.2.1', false);
    metrics.bfdCounted('192.0.2.1', 'control_packet_input', 1);
    expect(await seriesWith('192.0.2.1')).toEqual([]);
    expect(await seriesWith('192.0.2.1:179')).not.toEqual([]);
    metrics.bgpForget('192.0.2.1:179');
    expect(await seriesWith('192.0.2.1:179')).toEqual([]);
  });

  it('pools, speakers and reasons, which are told as a whole', async () => {
    const usage = { assignedIPv4: 1, assignedIPv6: 0, availableIPv4: 1, availableIPv6: 0 };
    metrics.pools(new Map([['p', usage]]));
    metrics.peers([{ node: 'kube-02', silentFor: 1, roundTrip: 1, suspected: false }]);
    metrics.nodes(['suspected']);
    metrics.unserved(['noPool']);
    for (const value of ['p', 'kube-02', 'suspected', 'noPool']) expect(await seriesWith(value)).not.toEqual([]);
    metrics.pools(new Map());
    metrics.peers([]);
    metrics.nodes([]);
    metrics.unserved([]);
    for (const value of ['p', 'kube-02', 'suspected', 'noPool']) expect(await seriesWith(value)).toEqual([]);
  });
});
