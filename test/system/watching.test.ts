/**
 * Alert rules and dashboards, judged by Prometheus' own promtool: that they can be evaluated, and that alerts fire when they should and not before.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { run } from '../../lab/net/shell.ts';
import { formatYaml, parseYaml } from '../../src/adapters/files/yaml.ts';
import { scratch } from './processes.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const obstacle =
  run(['sh', '-c', 'command -v promtool']).status === 0
    ? undefined
    : 'promtool is missing (Debian: apt-get install prometheus)';

interface Rules {
  readonly spec: {
    readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly annotations: object }[] }[];
  };
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number };
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

type Case = readonly [
  what: string,
  series: readonly (readonly [name: string, values: string])[],
  alerts: readonly Alert[],
];

interface Alert {
  readonly alertname: string;
  readonly [label: string]: string;
}

/** Series and what must have come of them after five minutes. Labels of an alert are those that route it. */
const CASES: readonly Case[] = [
  [
    'all is well',
    [
      ['metallb_k8s_client_config_stale_bool{job="controller",pod="c"}', '0x10'],
      ['metallb_k8s_client_config_loaded_bool{job="controller",pod="c"}', '1x10'],
      ['metallb_allocator_addresses_in_use_total{pool="p",pod="c"}', '5x10'],
      ['metallb_allocator_addresses_total{pool="p",pod="c"}', '10x10'],
      ['metallb_bgp_session_up{job="speaker",pod="s",peer="r"}', '1x10'],
    ],
    [],
  ],
  [
    'the configuration is set aside',
    [['metallb_k8s_client_config_stale_bool{job="speaker",pod="s"}', '1x10']],
    [{ alertname: 'MetalLBStaleConfig', severity: 'warning', job: 'speaker', pod: 's' }],
  ],
  [
    'the configuration is not loaded',
    [['metallb_k8s_client_config_loaded_bool{job="speaker",pod="s"}', '0x10']],
    [{ alertname: 'MetalLBConfigNotLoaded', severity: 'warning', job: 'speaker', pod: 's' }],
  ],
  [
    'a session is down',
    [['metallb_bgp_session_up{job="speaker",pod="s",peer="r"}', '0x10']],
    [{ alertname: 'MetalLBBGPSessionDown', severity: 'critical', job: 'speaker', pod: 's', peer: 'r' }],
  ],
  [
    'two controllers see a pool that is full',
    ['a', 'b'].flatMap((pod): [string, string][] => [
      [`metallb_allocator_addresses_in_use_total{pool="p",pod="${pod}"}`, '10x10'],
      [`metallb_allocator_addresses_total{pool="p",pod="${pod}"}`, '10x10'],
    ]),
    [
      { alertname: 'MetalLBAddressPoolExhausted', severity: 'critical', pool: 'p' },
      { alertname: 'MetalLBAddressPoolUsage75Percent', severity: 'warning', pool: 'p' },
      { alertname: 'MetalLBAddressPoolUsage85Percent', severity: 'warning', pool: 'p' },
      { alertname: 'MetalLBAddressPoolUsage95Percent', severity: 'critical', pool: 'p' },
    ],
  ],
];

describe.skipIf(obstacle !== undefined)(`watching${obstacle === undefined ? '' : ` (skipped: ${obstacle})`}`, () => {
  const directory = scratch();
  const file = (name: string, content: unknown) => {
    const path = join(directory.path, name);
    writeFileSync(path, formatYaml(content));
    return path;
  };
  const rules = parseYaml(readFileSync(join(ROOT, 'config/prometheus-native/rules.yaml'), 'utf8')) as Rules;
  const alerts = rules.spec.groups.flatMap((group) => group.rules.map(({ alert }) => alert));
  /** promtool compares annotations too, and they are words for people. */
  const unworded = {
    groups: rules.spec.groups.map((group) => ({
      ...group,
      rules: group.rules.map(({ annotations: _words, ...rule }) => rule),
    })),
  };
  const dashboards = readdirSync(join(ROOT, 'charts/metallb/files/dashboards')).map(
    (name) => JSON.parse(readFileSync(join(ROOT, 'charts/metallb/files/dashboards', name), 'utf8')) as Dashboard,
  );
  afterAll(() => directory.remove());

  it('promtool has nothing against the rules', () => {
    const { status, stdout, stderr } = run([
      'promtool',
      'check',
      'rules',
      '--lint-fatal',
      file('rules.yaml', rules.spec),
    ]);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`${alerts.length} rules found`);
  });

  it.each(CASES)('alerts: %s', (_, series, expected) => {
    const alert_rule_test = alerts.map((alertname) => ({
      eval_time: '5m',
      alertname,
      exp_alerts: expected
        .filter((alert) => alert.alertname === alertname)
        .map(({ alertname: _name, ...labels }) => ({ exp_labels: labels })),
    }));
    const test = {
      rule_files: [file('unworded.yaml', unworded)],
      evaluation_interval: '30s',
      tests: [
        {
          interval: '30s',
          input_series: series.map(([name, values]) => ({ series: name, values })),
          alert_rule_test,
        },
      ],
    };
    const { status, stdout, stderr } = run(['promtool', 'test', 'rules', file('test.yaml', test)]);
    expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, '']);
  });

  it('dashboards can be evaluated, and no two panels have one place', () => {
    const expressions = dashboards.flatMap(({ panels }) =>
      panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    );
    expect(expressions.length).toBeGreaterThan(20);
    const recorded = expressions.map((expr, i) => ({
      record: `x:${i}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    const checked = run([
      'promtool',
      'check',
      'rules',
      file('expressions.yaml', { groups: [{ name: 'x', rules: recorded }] }),
    ]);
    expect([checked.status, checked.stderr]).toEqual([0, '']);
    for (const { panels } of dashboards) {
      expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
      expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)).size).toBe(panels.length);
    }
    expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(dashboards.length);
  });
});
