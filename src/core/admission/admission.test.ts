import { describe, expect, it } from 'vitest';
import { configured, pool } from '../../../test/builders.ts';
import { formatFault } from '../api/problem.ts';
import { admit, admitDeletion } from './admission.ts';

const stored = { ipaddresspools: [pool('first', ['192.0.2.0/28'])] };

describe('admission', () => {
  it('refuses what clashes with what is there, whoever is older', () => {
    const late = pool('second', ['192.0.2.8/29'], {}, { creationTimestamp: '2020-01-01T00:00:00Z' });
    expect(admit('ipaddresspools', late, stored).refusals.map(formatFault)).toEqual([
      'spec.addresses: "192.0.2.8/29": it overlaps 192.0.2.0/28 of IPAddressPool first; leave the shared addresses in one of the two pools',
    ]);
  });

  it('takes an update for the object that it replaces', () => {
    expect(admit('ipaddresspools', pool('first', ['192.0.2.0/29']), stored).refusals).toEqual([]);
  });

  it('does not mind what may come yet', () => {
    const peer = configured('r', { myASN: 1, peerASN: 2, peerAddress: '192.0.2.1', bfdProfile: 'later' });
    const ad = configured('a', { communities: ['later'] });
    expect(admit('bgppeers', peer, stored).refusals).toEqual([]);
    expect(admit('bgpadvertisements', ad, stored).refusals).toEqual([]);
  });

  it('warns of what the write does to others', () => {
    const all = { ...stored, bgpadvertisements: [configured('a', { aggregationLength: 28 })] };
    const wider = admit('ipaddresspools', pool('first', ['192.0.2.0/29']), all);
    expect(wider.refusals).toEqual([]);
    expect(wider.warnings.join()).toContain(
      'with this change, BGPAdvertisement metallb-system/a: spec.aggregationLength: "28"',
    );
  });

  it('warns of disableMP and checks the rest all the same', () => {
    const peer = configured('r', { myASN: 0, peerASN: 2, peerAddress: '192.0.2.1', disableMP: true });
    const { refusals, warnings } = admit('bgppeers', peer, stored);
    expect(refusals.map(({ field }) => field)).toEqual(['spec.myASN']);
    expect(warnings).toEqual(['spec.disableMP is deprecated and has no effect; remove it']);
  });

  it('warns of annotations that do nothing', () => {
    const annotations = { 'metallb.io/pasive': 'true' };
    const peer = configured('r', { myASN: 1, peerASN: 2, peerAddress: '192.0.2.1' }, { annotations });
    expect(admit('bgppeers', peer, stored).warnings).toEqual([
      'annotation metallb.io/pasive is no annotation of ours; did you mean metallb.io/passive?',
    ]);
  });

  it('says beforehand that a change of a peer ends its sessions', () => {
    const spec = { myASN: 1, peerASN: 2, peerAddress: '192.0.2.1' };
    const warnings = (before: object, after: object) =>
      admit('bgppeers', configured('r', { ...spec, ...after }), { bgppeers: [configured('r', { ...spec, ...before })] })
        .warnings;
    expect(warnings({}, { connectTime: '5s' })).toEqual([]);
    expect(warnings({}, { holdTime: '30s', peerPort: 1179 })).toEqual([
      'the BGP session of every node with r restarts because of peerPort, holdTime; its routes are withdrawn meanwhile',
    ]);
    const graceful = { enableGracefulRestart: true };
    expect(warnings(graceful, { ...graceful, holdTime: '30s' })).toEqual([
      'the BGP session of every node with r restarts because of holdTime; routers with graceful restart keep its routes meanwhile',
    ]);
  });

  it('keeps a BFDProfile that is in use', () => {
    const profile = configured('fast');
    const bgppeers = [configured('r', { bfdProfile: 'fast' })];
    expect(admitDeletion('bfdprofiles', profile, { bgppeers }).refusals.map(formatFault).join()).toContain(
      'BGPPeer r refers',
    );
    expect(admitDeletion('bfdprofiles', profile, {}).refusals).toEqual([]);
  });
});
