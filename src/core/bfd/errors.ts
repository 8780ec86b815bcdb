/**
 * Why a BFD control packet is discarded (RFC 5880 §6.8.6).
 * @module
 */
export type BfdDecodeError =
  | 'bad-version'
  | 'bad-length'
  | 'zero-multiplier'
  | 'multipoint'
  | 'zero-discriminator'
  | 'missing-discriminator'
  | 'authenticated';
