import { afterEach, describe, expect, it, vi } from 'vitest';
import { flagValues, portFlag, readCertificate, textFlag, tlsMinVersion } from './common.ts';
import { CliError } from './errors.ts';

afterEach(() => vi.unstubAllEnvs());

/** What a call throws; undefined when it does not. */
function thrown(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('values of flags', () => {
  const flags = [{ name: 'ml-bindport', env: 'TEST_ML_BIND_PORT', default: '7946', help: '' }];

  it.each([
    ['the command line beats the environment', { mlBindport: '1' }, '2', '1'],
    ['the environment beats the default', {}, '2', '2'],
    ['an empty environment variable is a value', {}, '', ''],
    ['the default is used when nothing is given', {}, undefined, '7946'],
  ])('%s', (_, given, env, expected) => {
    vi.stubEnv('TEST_ML_BIND_PORT', env);
    expect(flagValues(flags, given)).toEqual({ 'ml-bindport': expected });
  });

  it('has no entry for a flag that has neither value nor default', () => {
    expect(flagValues([{ name: 'record', help: '' }], {})).toEqual({});
  });

  it('reads a switch and a missing flag as empty text', () => {
    expect([textFlag({ record: true }, 'record'), textFlag({}, 'record')]).toEqual(['', '']);
  });
});

describe('ports', () => {
  it.each([
    ['0', 0],
    ['65535', 65535],
  ])('%s is a port', (text, port) => {
    expect(portFlag({ port: text }, 'port')).toBe(port);
  });

  it.each(['65536', '-1', '1.5', 'http'])('%s is wrong usage, and the message names flag and value', (text) => {
    const error = thrown(() => portFlag({ port: text }, 'port'));
    expect(error).toBeInstanceOf(CliError);
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining(`--port: "${text}"`) });
  });
});

describe('the lowest TLS version', () => {
  it.each([
    ['is 1.3 unless said otherwise', {}, 'TLSv1.3'],
    ['is 1.3 when the flag is empty', { 'tls-min-version': '' }, 'TLSv1.3'],
    ['may be 1.2', { 'tls-min-version': 'VersionTLS12' }, 'TLSv1.2'],
  ])('%s', (_, values, expected) => {
    expect(tlsMinVersion(values as Record<string, string>)).toBe(expected);
  });

  it('is refused below 1.2', () => {
    expect(thrown(() => tlsMinVersion({ 'tls-min-version': 'VersionTLS11' }))).toMatchObject({ exitCode: 2 });
  });
});

it('names the flag and the file when a certificate cannot be read', () => {
  expect(thrown(() => readCertificate('--cert-dir', '/nonexistent'))).toMatchObject({
    message: '--cert-dir: /nonexistent/tls.crt cannot be read: ENOENT: no such file or directory',
  });
});
