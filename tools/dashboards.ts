/**
 * Grafana's dashboards as a table of questions; `npm run gen` makes JSON of it. Only metrics of docs/metrics.md.
 * @module
 */

interface Panel {
  readonly title: string;
  /** Expression and legend of each series. */
  readonly queries: readonly (readonly [expression: string, legend: string])[];
  readonly kind?: 'timeseries' | 'stat' | 'bargauge';
  /** Of Grafana's units. */
  readonly unit?: string;
  readonly description?: string;
  /** From which value on it is red. */
  readonly alarm?: number;
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

const RATE = '$__rate_interval';
const quantile = (q: number, metric: string, by = '') =>
  `histogram_quantile(${q}, sum by (le${by === '' ? '' : `, ${by}`}) (rate(${metric}_bucket[${RATE}])))`;

export const DASHBOARDS: readonly Dashboard[] = [
  {
    uid: 'metallb-overview',
    title: 'MetalLB / Overview',
    panels: [
      {
        title: 'Services without an address',
        description: 'They want one and have none; `kubectl describe service` says why.',
        queries: [['sum by (reason) (metallb_controller_services_without_address)', '{{reason}}']],
        kind: 'stat',
        alarm: 1,
      },
      {
        title: 'Configuration set aside',
        description: 'Processes that do not take a part of it; `kubectl get configurationstates -A` says which.',
        queries: [['sum(metallb_k8s_client_config_stale_bool)', 'processes']],
        kind: 'stat',
        alarm: 1,
      },
      {
        title: 'BGP sessions down',
        queries: [['count(metallb_bgp_session_up == 0) or vector(0)', 'sessions']],
        kind: 'stat',
        alarm: 1,
      },
      {
        title: 'Speakers that hear nobody',
        queries: [['sum(metallb_liveness_isolated_bool) or vector(0)', 'speakers']],
        kind: 'stat',
        alarm: 1,
      },
      {
        title: 'Addresses in use',
        queries: [
          [
            'max by (pool) (metallb_allocator_addresses_in_use_total) / max by (pool) (metallb_allocator_addresses_total)',
            '{{pool}}',
          ],
        ],
        kind: 'bargauge',
        unit: 'percentunit',
        alarm: 0.95,
      },
      {
        title: 'Addresses in use, over time',
        queries: [['max by (pool) (metallb_allocator_addresses_in_use_total)', '{{pool}}']],
      },
      {
        title: 'From a Service to its address',
        queries: [
          [quantile(0.5, 'metallb_controller_time_to_address_seconds'), 'half'],
          [quantile(0.99, 'metallb_controller_time_to_address_seconds'), '99 of 100'],
        ],
        unit: 's',
      },
      {
        title: 'Announced addresses by node',
        queries: [['count by (node, protocol) (metallb_speaker_announced == 1)', '{{node}} {{protocol}}']],
      },
      {
        title: 'Requests to the API server',
        queries: [
          [`sum by (pod, verb) (rate(metallb_k8s_client_requests_total[${RATE}]))`, '{{pod}} {{verb}}'],
          [`sum by (pod) (rate(metallb_k8s_client_update_errors_total[${RATE}]))`, '{{pod}} failed'],
        ],
        unit: 'reqps',
      },
      {
        title: 'Memory',
        queries: [['process_resident_memory_bytes{job=~".*(metallb|controller|speaker).*"}', '{{pod}}']],
        unit: 'bytes',
      },
    ],
  },
  {
    uid: 'metallb-layer2',
    title: 'MetalLB / Layer 2',
    panels: [
      {
        title: 'Addresses by owner',
        queries: [['count by (node) (metallb_speaker_announced{protocol="layer2"} == 1)', '{{node}}']],
      },
      {
        title: 'Takeover from a dead node',
        description: 'detect: last heard until taken for dead; elect; announce: until the packets have left.',
        queries: [[quantile(0.99, 'metallb_layer2_failover_seconds', 'phase'), '{{phase}}']],
        unit: 's',
      },
      {
        title: 'Requests and answers (ARP, NDP)',
        queries: [
          [`sum by (pod) (rate(metallb_layer2_requests_received[${RATE}]))`, '{{pod}} asked'],
          [`sum by (pod) (rate(metallb_layer2_responses_sent[${RATE}]))`, '{{pod}} answered'],
        ],
        unit: 'pps',
      },
      {
        title: 'Gratuitous packets',
        queries: [[`sum by (pod) (rate(metallb_layer2_gratuitous_sent[${RATE}]))`, '{{pod}}']],
        unit: 'pps',
      },
      {
        title: 'Addresses that others claim',
        description: 'Another station answers for an address of ours. Two of anything on a LAN is one too many.',
        queries: [[`sum by (ip) (increase(metallb_layer2_conflicts_seen[${RATE}]))`, '{{ip}}']],
        alarm: 1,
      },
      {
        title: 'Other speakers',
        queries: [['sum by (pod, state) (metallb_liveness_nodes)', '{{pod}}: {{state}}']],
      },
      {
        title: 'Silence of the speakers that are watched',
        queries: [['max by (peer) (metallb_liveness_peer_silence_seconds)', '{{peer}}']],
        unit: 's',
      },
      {
        title: 'Round trip between speakers',
        queries: [['max by (pod, peer) (metallb_liveness_peer_round_trip_seconds)', '{{pod}} to {{peer}}']],
        unit: 's',
      },
    ],
  },
  {
    uid: 'metallb-bgp',
    title: 'MetalLB / BGP',
    panels: [
      {
        title: 'Sessions',
        queries: [['min by (pod, peer) (metallb_bgp_session_up)', '{{pod}} with {{peer}}']],
      },
      {
        title: 'Prefixes: to be told, and told',
        queries: [
          ['max by (pod, peer) (metallb_bgp_pending_prefixes_total)', '{{pod}} with {{peer}}: wanted'],
          ['max by (pod, peer) (metallb_bgp_announced_prefixes_total)', '{{pod}} with {{peer}}: sent'],
        ],
      },
      {
        title: 'Updates',
        queries: [
          [`sum by (pod, peer) (rate(metallb_bgp_updates_total[${RATE}]))`, '{{pod}} to {{peer}}'],
          [`sum by (pod, peer) (rate(metallb_bgp_updates_total_received[${RATE}]))`, '{{peer}} to {{pod}}'],
        ],
      },
      {
        title: 'Notifications sent',
        queries: [[`sum by (pod, peer) (increase(metallb_bgp_notifications_sent[${RATE}]))`, '{{pod}} to {{peer}}']],
      },
      {
        title: 'BFD sessions',
        queries: [['min by (pod, peer) (metallb_bfd_session_up)', '{{pod}} with {{peer}}']],
      },
      {
        title: 'BFD went down',
        queries: [[`sum by (pod, peer) (increase(metallb_bfd_session_down_events[${RATE}]))`, '{{pod}} with {{peer}}']],
        alarm: 1,
      },
    ],
  },
];

const SOURCE = { type: 'prometheus', uid: '$' + '{datasource}' };
const WIDTH = 12;
const HEIGHT = 8;

/** Grafana's own form, for import by hand, by provisioning or by the sidecar. */
export function dashboardJson({ uid, title, panels }: Dashboard): object {
  return {
    uid,
    title,
    tags: ['metallb'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [{ name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {} }],
    },
    annotations: { list: [] },
    links: [{ title: 'MetalLB', type: 'dashboards', tags: ['metallb'], asDropdown: false, includeVars: true }],
    panels: panels.map((panel, index) => panelJson(panel, index)),
  };
}

function panelJson({ title, queries, kind = 'timeseries', unit = 'short', description, alarm }: Panel, i: number) {
  const steps = [{ color: 'green', value: null }, ...(alarm === undefined ? [] : [{ color: 'red', value: alarm }])];
  return {
    id: i + 1,
    type: kind,
    title,
    ...(description !== undefined && { description }),
    datasource: SOURCE,
    gridPos: { x: (i % 2) * WIDTH, y: Math.floor(i / 2) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: { defaults: { unit, min: 0, thresholds: { mode: 'absolute', steps } }, overrides: [] },
    targets: queries.map(([expr, legendFormat], n) => ({
      refId: String.fromCharCode(65 + n),
      datasource: SOURCE,
      expr,
      legendFormat,
    })),
  };
}
