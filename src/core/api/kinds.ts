/**
 * The kinds of `metallb.io`: upstream's nine, field for field (docs/behaviour/resources.md), and BGPSessionStatus, which is ours.
 * Each `...Spec` value below is the one source of its type, its validation and its CRD.
 * @module
 */
import * as z from 'zod';
import { parseDuration } from './duration.ts';
import type { Kind, PrinterColumn } from './kind.ts';
import { integer, labelSelector, selectors, text, texts, withRules } from './schema.ts';

const conditions = z
  .array(
    z.object({
      type: text('Type of the condition.'),
      status: z.enum(['True', 'False', 'Unknown']),
      reason: text('Reason in one word.'),
      message: text('Reason in a sentence.'),
      lastTransitionTime: text('Time of the last change.').meta({ format: 'date-time' }),
      observedGeneration: integer('int64', 'Generation that the condition is about.', 0).optional(),
    }),
  )
  .meta({
    description: 'Standard conditions.',
    'x-kubernetes-list-map-keys': ['type'],
    'x-kubernetes-list-type': 'map',
  })
  .optional();

/** Upstream's kinds have an empty status; conditions are ours. */
const acceptance = z
  .object({ conditions })
  .meta({ description: 'Whether the object is in force; written when it is not.' })
  .optional();

const column = (
  name: string,
  jsonPath: string,
  type: PrinterColumn['type'] = 'string',
  priority?: number,
): PrinterColumn => (priority === undefined ? { name, jsonPath, type } : { name, jsonPath, type, priority });

/** A refused duration is refused by the parser, not by the schema: upstream's CRD says no more than string. */
const duration = (description: string) => text(description);

const advertisementTargets = {
  ipAddressPools: texts(
    'Names of the IPAddressPools to advertise. Empty together with the pool selectors: all pools.',
  ).optional(),
  ipAddressPoolSelectors: selectors('Selects IPAddressPools by label, in addition to those named.').optional(),
  nodeSelectors: selectors('Limits the nodes that may announce. Empty: all nodes.').optional(),
  serviceSelectors: selectors(
    'Limits the advertisement to Services with matching labels. Empty: all Services.',
  ).optional(),
};

const advertisementColumns = [
  column('IPAddressPools', '.spec.ipAddressPools'),
  column('IPAddressPool Selectors', '.spec.ipAddressPoolSelectors'),
];

/** IPAddressPool v1beta1 (docs/behaviour/resources.md#ipaddresspool). */
export const ipAddressPool = z.object({
  spec: z
    .object({
      addresses: texts('Addresses of the pool: CIDRs such as 192.0.2.0/28, or ranges such as 192.0.2.10-192.0.2.20.'),
      autoAssign: z
        .boolean()
        .default(true)
        .meta({ description: 'Whether Services that ask for no pool and no address may get one from here.' })
        .optional(),
      avoidBuggyIPs: z
        .boolean()
        .default(false)
        .meta({ description: 'Never use IPv4 addresses that end in .0 or .255, which some old equipment drops.' })
        .optional(),
      serviceAllocation: z
        .object({
          priority: integer('int64', 'Lower numbers are preferred; 0 or absent comes last.').optional(),
          namespaces: texts('Namespaces whose Services may use the pool.').optional(),
          namespaceSelectors: selectors('Selects namespaces by label, in addition to those named.').optional(),
          serviceSelectors: selectors('Selects Services by label.').optional(),
        })
        .meta({ description: 'Reserves the pool for some namespaces or Services.' })
        .optional(),
    })
    .meta({ description: 'What the pool holds and who may use it.' }),
  status: z
    .object({
      assignedIPv4: integer('int64', 'IPv4 addresses in use.'),
      assignedIPv6: integer('int64', 'IPv6 addresses in use.'),
      availableIPv4: integer('int64', 'IPv4 addresses that are free.'),
      availableIPv6: integer('int64', 'IPv6 addresses that are free.'),
      conditions,
    })
    .meta({ description: 'How many addresses are used and free.' })
    .optional(),
});
export type IPAddressPoolSpec = z.output<typeof ipAddressPool>['spec'];

/** L2Advertisement v1beta1 (docs/behaviour/resources.md#l2advertisement). */
export const l2Advertisement = z.object({
  spec: z
    .object({
      ...advertisementTargets,
      interfaces: texts('Interfaces to announce on. Empty: all that are fit for it.').optional(),
      preferredNodeSelectors: z
        .array(
          z.object({
            preference: labelSelector,
            weight: integer('int32', 'Weight of the preference.', 1, 100),
          }),
        )
        .meta({ description: 'Nodes to prefer: the weights of matching entries are added up.' })
        .optional(),
    })
    .meta({ description: 'Which addresses are announced at layer 2, by whom and where.' })
    .optional(),
  status: acceptance,
});

const AGGREGATION_RULE =
  'aggregationLength and aggregationLengthV6 must be 32 and 128 (or absent) when serviceSelectors is used';

/** BGPAdvertisement v1beta1 (docs/behaviour/resources.md#bgpadvertisement). */
/** As much of a BGPPeer or BGPAdvertisement as says which nodes it is for; the rest may not fit its schema. */
export const nodeSelecting = z.object({
  spec: z.object({ nodeSelectors: advertisementTargets.nodeSelectors }).optional(),
});

export const bgpAdvertisement = z.object({
  spec: withRules(
    z
      .object({
        ...advertisementTargets,
        aggregationLength: integer('int32', 'Prefix length of announced IPv4 routes.', 1).default(32).optional(),
        aggregationLengthV6: integer('int32', 'Prefix length of announced IPv6 routes.').default(128).optional(),
        communities: texts('Communities to attach: literals, or names of Community objects’ aliases.').optional(),
        localPref: integer('int32', 'LOCAL_PREF towards iBGP peers.').optional(),
        peers: texts('Names of the BGPPeers to announce to. Empty: all.').optional(),
      })
      .meta({ description: 'Which addresses are announced by BGP, how and to whom.' }),
    {
      cel:
        '!has(self.serviceSelectors) || size(self.serviceSelectors) == 0 || ' +
        '((!has(self.aggregationLength) || self.aggregationLength == 32) && ' +
        '(!has(self.aggregationLengthV6) || self.aggregationLengthV6 == 128))',
      message: AGGREGATION_RULE,
      holds: (spec) =>
        (spec.serviceSelectors ?? []).length === 0 ||
        ((spec.aggregationLength ?? 32) === 32 && (spec.aggregationLengthV6 ?? 128) === 128),
    },
  ).optional(),
  status: acceptance,
});

const MAX_ASN = 4294967295;

/** BGPPeer v1beta2 (docs/behaviour/resources.md#bgppeer). */
export const bgpPeer = z.object({
  spec: z
    .object({
      myASN: integer('int64', 'AS number of our side.', 0, MAX_ASN),
      peerASN: integer('int64', 'AS number of the peer; this or dynamicASN.', 0, MAX_ASN).optional(),
      dynamicASN: z
        .enum(['internal', 'external'])
        .meta({ description: 'Take the AS number that the peer names: our own (internal) or any other (external).' })
        .optional(),
      localASN: integer('int64', 'AS number to show to this peer instead of myASN.', 1, MAX_ASN).optional(),
      peerAddress: text('IP address of the peer; this or interface.').optional(),
      interface: text('Interface of an unnumbered peering.').optional(),
      sourceAddress: text('Local IP address of the session.').optional(),
      peerPort: integer('int32', 'TCP port of the peer.', 1, 16384).default(179).optional(),
      holdTime: duration('Hold time, RFC 4271 §4.2: zero or at least three seconds.').optional(),
      keepaliveTime: duration('Time between KEEPALIVEs, at most the hold time.').optional(),
      connectTime: withRules(
        duration('Time between attempts to connect.'),
        {
          cel: 'duration(self).getSeconds() >= 1 && duration(self).getSeconds() <= 65535',
          message: 'connect time must be between 1 and 65535 seconds',
          holds: (value) => {
            const milliseconds = parseDuration(value);
            return milliseconds !== undefined && milliseconds >= 1000 && milliseconds < 65_536_000;
          },
        },
        {
          cel: 'duration(self).getMilliseconds() % 1000 == 0',
          message: 'connect time must be a whole number of seconds',
          holds: (value) => (parseDuration(value) ?? 0) % 1000 === 0,
        },
      ).optional(),
      routerID: text('BGP identifier, an IPv4 address.').optional(),
      nodeSelectors: selectors('Nodes that open this session. Empty: all nodes.').optional(),
      password: text('TCP-MD5 password (RFC 2385); better in a Secret.').optional(),
      passwordSecret: z
        .object({
          name: text('Name of the Secret.').optional(),
          namespace: text('Not used for the look-up: the Secret has to be in our own namespace.').optional(),
        })
        .meta({
          description: 'Secret of type kubernetes.io/basic-auth that holds the password.',
          'x-kubernetes-map-type': 'atomic',
        })
        .optional(),
      bfdProfile: text('Name of the BFDProfile that watches this session.').optional(),
      enableGracefulRestart: withRules(
        z.boolean().meta({ description: 'Graceful restart, RFC 4724. Cannot be changed later.' }),
        { cel: 'self == oldSelf', message: 'enableGracefulRestart cannot be changed after creation' },
      ).optional(),
      ebgpMultiHop: z.boolean().meta({ description: 'The eBGP peer is more than one hop away.' }).optional(),
      vrf: text('Linux VRF to peer from.').optional(),
      disableMP: z.boolean().default(false).meta({ description: 'Deprecated, without effect.' }).optional(),
      dualStackAddressFamily: z
        .boolean()
        .default(false)
        .meta({ description: 'Carry both address families over this session.' })
        .optional(),
    })
    .meta({ description: 'A router to peer with.' })
    .optional(),
  status: acceptance,
});
export type BGPPeerSpec = NonNullable<z.output<typeof bgpPeer>['spec']>;

/** BGPPeer v1beta1 (docs/behaviour/resources.md#conversion). */
const bgpPeerV1beta1 = z.object({
  spec: z
    .object({
      myASN: integer('int64', 'AS number of our side.', 0, MAX_ASN),
      peerASN: integer('int64', 'AS number of the peer.', 0, MAX_ASN),
      peerAddress: text('IP address of the peer.'),
      sourceAddress: text('Local IP address of the session.').optional(),
      peerPort: integer('int32', 'TCP port of the peer.', 0, 16384).optional(),
      holdTime: duration('Hold time.').optional(),
      keepaliveTime: duration('Time between KEEPALIVEs.').optional(),
      routerID: text('BGP identifier.').optional(),
      password: text('TCP-MD5 password.').optional(),
      bfdProfile: text('Name of the BFDProfile.').optional(),
      ebgpMultiHop: z.boolean().meta({ description: 'The eBGP peer is more than one hop away.' }).optional(),
      nodeSelectors: z
        .array(
          z.object({
            matchExpressions: z
              .array(
                z.object({
                  key: text('Label key.'),
                  operator: text('One of In, NotIn, Exists and DoesNotExist.'),
                  values: z.array(z.string()).min(1).meta({ description: 'Values of the condition.' }),
                }),
              )
              .optional(),
            matchLabels: z.record(z.string(), z.string()).optional(),
          }),
        )
        .meta({ description: 'Nodes that open this session.' })
        .optional(),
    })
    .optional(),
  status: acceptance,
});

const milliseconds = (description: string) => integer('int32', `${description} in milliseconds.`, 10, 60000);

/** BFDProfile v1beta1 (docs/behaviour/resources.md#bfdprofile). */
export const bfdProfile = z.object({
  spec: z
    .object({
      receiveInterval: milliseconds('Shortest interval at which we accept control packets').optional(),
      transmitInterval: milliseconds('Shortest interval at which we send control packets').optional(),
      detectMultiplier: integer('int32', 'Intervals without a packet until the session is down.', 2, 255).optional(),
      echoInterval: milliseconds('Shortest interval of echo packets').optional(),
      echoMode: z.boolean().meta({ description: 'Echo mode; not over several hops.' }).optional(),
      passiveMode: z.boolean().meta({ description: 'Wait for the peer to begin.' }).optional(),
      minimumTtl: integer('int32', 'Lowest TTL accepted from a multihop peer.', 1, 254).optional(),
    })
    .meta({ description: 'Timers of Bidirectional Forwarding Detection (RFC 5880).' })
    .optional(),
  status: acceptance,
});

/** Community v1beta1 (docs/behaviour/resources.md#community). */
export const community = z.object({
  spec: z
    .object({
      communities: z
        .array(
          z.object({
            name: text('Name to use in BGPAdvertisements.').optional(),
            value: text('`A:B` (RFC 1997) or `large:A:B:C` (RFC 8092).').optional(),
          }),
        )
        .meta({ description: 'Names for communities.' })
        .optional(),
    })
    .meta({ description: 'Names for communities, known to all BGPAdvertisements.' })
    .optional(),
  status: acceptance,
});

const immutable = (description: string) =>
  withRules(text(description), { cel: 'self == oldSelf', message: 'Value is immutable' }).optional();

const announcedService = {
  node: immutable('Node that announces.'),
  serviceName: immutable('Name of the Service.'),
  serviceNamespace: immutable('Namespace of the Service.'),
};

const l2Status = z.object({
  spec: z.object({}).meta({ description: 'Not used.' }).optional(),
  status: z
    .object({
      ...announcedService,
      interfaces: z
        .array(z.object({ name: text('Interface name.').optional() }))
        .meta({ description: 'Interfaces of the announcement; empty means all.' })
        .optional(),
      conditions,
    })
    .meta({ description: 'Who announces the Service at layer 2.' })
    .optional(),
});

const bgpStatus = z.object({
  spec: z.object({}).meta({ description: 'Not used.' }).optional(),
  status: z
    .object({ ...announcedService, peers: texts('Names of the BGPPeers that the Service is announced to.').optional() })
    .meta({ description: 'Whom the node announces the Service to.' })
    .optional(),
});

const bgpSessionStatus = z.object({
  status: z
    .object({
      node: text('Node of the speaker.'),
      peer: text('Name of the BGPPeer.'),
      address: text('Address of the router, or the interface that it is on.').optional(),
      localASN: integer('int64', 'AS number that we go by.').optional(),
      peerASN: integer('int64', 'AS number of the router, once it has said it.').optional(),
      state: z
        .enum(['Idle', 'Active', 'Connect', 'OpenSent', 'OpenConfirm', 'Established'])
        .meta({ description: 'State of the session (RFC 4271 §8.2.2).' }),
      since: text('When the session was established, or was lost.').meta({ format: 'date-time' }),
      holdTimeSeconds: integer('int32', 'Hold time that both have agreed on; 0 means none.', 0).optional(),
      families: texts('Address families that both have agreed on.').optional(),
      capabilities: texts('What the router can do, as it says.').optional(),
      prefixes: integer('int64', 'Routes that the router has been sent.', 0),
      wantedPrefixes: integer('int64', 'Routes that it should hold.', 0),
      bfd: z.enum(['Up', 'Down', 'None']).meta({ description: 'BFD with the router; None: no BFDProfile.' }),
      lastError: text('Why the last session, or the last attempt at one, ended.').optional(),
    })
    .meta({ description: 'How the session stands.' })
    .optional(),
});
export type BGPSessionStatus = NonNullable<z.output<typeof bgpSessionStatus>['status']>;

const configurationState = z.object({
  status: z
    .object({
      result: z.enum(['Valid', 'Invalid', 'Unknown']).meta({ description: 'Summary of the conditions.' }).optional(),
      errorSummary: text('What is wrong, a line for each fault.').optional(),
      conditions,
    })
    .meta({ description: 'Whether the configuration that the process reads is in order.' })
    .optional(),
});

const peerColumns = [
  column('Address', '.spec.peerAddress'),
  column('ASN', '.spec.peerASN'),
  column('BFD Profile', '.spec.bfdProfile'),
  column('Multi Hops', '.spec.ebgpMultiHop'),
];

const announcedColumns = [
  column('Service Name', '.status.serviceName'),
  column('Service Namespace', '.status.serviceNamespace'),
];

const nodeSelectorColumn = column('Node Selectors', '.spec.nodeSelectors', 'string', 10);

/** Every custom resource, in the order of docs/behaviour/resources.md#kinds. */
export const KINDS = [
  {
    kind: 'IPAddressPool',
    plural: 'ipaddresspools',
    singular: 'ipaddresspool',
    description: 'Addresses that Services of type LoadBalancer may get.',
    versions: [
      {
        name: 'v1beta1',
        schema: ipAddressPool,
        columns: [
          column('Auto Assign', '.spec.autoAssign', 'boolean'),
          column('Avoid Buggy IPs', '.spec.avoidBuggyIPs', 'boolean'),
          column('Addresses', '.spec.addresses'),
        ],
      },
    ],
  },
  {
    kind: 'L2Advertisement',
    plural: 'l2advertisements',
    singular: 'l2advertisement',
    description: 'Announces addresses by ARP and NDP.',
    versions: [
      {
        name: 'v1beta1',
        schema: l2Advertisement,
        columns: [...advertisementColumns, column('Interfaces', '.spec.interfaces'), nodeSelectorColumn],
      },
    ],
  },
  {
    kind: 'BGPAdvertisement',
    plural: 'bgpadvertisements',
    singular: 'bgpadvertisement',
    description: 'Announces addresses by BGP.',
    versions: [
      {
        name: 'v1beta1',
        schema: bgpAdvertisement,
        columns: [...advertisementColumns, column('Peers', '.spec.peers'), nodeSelectorColumn],
      },
    ],
  },
  {
    kind: 'BGPPeer',
    plural: 'bgppeers',
    singular: 'bgppeer',
    description: 'A BGP router to peer with.',
    versions: [
      { name: 'v1beta2', schema: bgpPeer, columns: peerColumns },
      {
        name: 'v1beta1',
        schema: bgpPeerV1beta1,
        columns: peerColumns,
        deprecationWarning: 'v1beta1 is deprecated, please use v1beta2',
      },
    ],
  },
  {
    kind: 'BFDProfile',
    plural: 'bfdprofiles',
    singular: 'bfdprofile',
    description: 'Timers of BFD sessions.',
    versions: [
      {
        name: 'v1beta1',
        schema: bfdProfile,
        columns: [
          column('Passive Mode', '.spec.passiveMode', 'boolean'),
          column('Transmit Interval', '.spec.transmitInterval', 'integer'),
          column('Receive Interval', '.spec.receiveInterval', 'integer'),
          column('Multiplier', '.spec.detectMultiplier', 'integer'),
        ],
      },
    ],
  },
  {
    kind: 'Community',
    plural: 'communities',
    singular: 'community',
    description: 'Names for BGP communities.',
    versions: [{ name: 'v1beta1', schema: community, columns: [] }],
  },
  {
    kind: 'ServiceL2Status',
    plural: 'servicel2statuses',
    singular: 'servicel2status',
    description: 'Which node announces a Service at layer 2.',
    versions: [
      { name: 'v1beta1', schema: l2Status, columns: [column('Allocated Node', '.status.node'), ...announcedColumns] },
    ],
  },
  {
    kind: 'ServiceBGPStatus',
    plural: 'servicebgpstatuses',
    singular: 'servicebgpstatus',
    description: 'Which peers a node announces a Service to.',
    versions: [{ name: 'v1beta1', schema: bgpStatus, columns: [column('Node', '.status.node'), ...announcedColumns] }],
  },
  {
    kind: 'BGPSessionStatus',
    plural: 'bgpsessionstatuses',
    singular: 'bgpsessionstatus',
    description: 'How the BGP session between a node and a router stands.',
    versions: [
      {
        name: 'v1beta1',
        schema: bgpSessionStatus,
        columns: [
          column('Node', '.status.node'),
          column('Peer', '.status.peer'),
          column('State', '.status.state'),
          column('Since', '.status.since', 'date'),
          column('Prefixes', '.status.prefixes', 'integer'),
          column('BFD', '.status.bfd'),
          column('Last Error', '.status.lastError'),
        ],
      },
    ],
  },
  {
    kind: 'ConfigurationState',
    plural: 'configurationstates',
    singular: 'configurationstate',
    description: 'What a process thinks of the configuration.',
    versions: [
      {
        name: 'v1beta1',
        schema: configurationState,
        columns: [
          column('Result', '.status.result'),
          column('ErrorSummary', '.status.errorSummary'),
          column('Age', '.metadata.creationTimestamp', 'date'),
        ],
      },
    ],
  },
] as const satisfies readonly Kind[];
