/**
 * The shape of the configuration before 0.13 (docs/behaviour/config-map.md). Keys that it does not know are ignored, as ever.
 * @module
 */
import * as z from 'zod';

const selector = z.object({
  'match-labels': z.record(z.string(), z.string()).optional(),
  'match-expressions': z
    .array(z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).optional() }))
    .optional(),
});

const peer = z.object({
  'my-asn': z.int(),
  'peer-asn': z.int(),
  'peer-address': z.string(),
  'source-address': z.string().optional(),
  'peer-port': z.int().optional(),
  'hold-time': z.string().optional(),
  'keepalive-time': z.string().optional(),
  'router-id': z.string().optional(),
  'node-selectors': z.array(selector).optional(),
  password: z.string().optional(),
  'bfd-profile': z.string().optional(),
  'ebgp-multihop': z.boolean().optional(),
});

const advertisement = z.object({
  'aggregation-length': z.int().optional(),
  'aggregation-length-v6': z.int().optional(),
  localpref: z.int().optional(),
  communities: z.array(z.string()).optional(),
});

const pool = z.object({
  name: z.string(),
  protocol: z.string(),
  addresses: z.array(z.string()),
  'auto-assign': z.boolean().optional(),
  'avoid-buggy-ips': z.boolean().optional(),
  'bgp-advertisements': z.array(advertisement).optional(),
});

const profile = z.object({
  name: z.string(),
  'receive-interval': z.int().optional(),
  'transmit-interval': z.int().optional(),
  'detect-multiplier': z.int().optional(),
  'echo-interval': z.int().optional(),
  'echo-mode': z.boolean().optional(),
  'passive-mode': z.boolean().optional(),
  'minimum-ttl': z.int().optional(),
});

export const legacyConfig = z.object({
  peers: z.array(peer).default([]),
  'bgp-communities': z.record(z.string(), z.string()).default({}),
  'bfd-profiles': z.array(profile).default([]),
  'address-pools': z.array(pool).default([]),
});
