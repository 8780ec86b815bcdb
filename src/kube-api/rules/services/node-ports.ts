/**
 * Node ports of a Service, those of its ports and that of its health check.
 * @module
 */
import { hasHealthCheckPort, hasNodePorts, type ServiceSpec } from './spec.ts';

type Fault = (field: string, message: string) => void;

/** Node ports come from here (Kubernetes' default). */
const RANGE = { first: 30000, last: 32767 };
/** The first ports of the range are left to Services that ask for one. */
const STATIC_PORTS = 86;
const FIRST_FREE = RANGE.first + STATIC_PORTS;

/** All node ports that a stored Service has. */
export function nodePortsOf({ ports = [], healthCheckNodePort }: ServiceSpec): number[] {
  return [...ports.map(({ nodePort }) => nodePort), healthCheckNodePort].filter((port) => port !== undefined);
}

/** An update that says nothing of its node ports keeps them, by the name of the port. */
export function keepNodePorts(spec: ServiceSpec, old: ServiceSpec): void {
  if (hasNodePorts(spec) && hasNodePorts(old)) {
    const used = new Set(spec.ports?.map(({ nodePort }) => nodePort));
    const before = new Map(old.ports?.map(({ name, nodePort }) => [name, nodePort]));
    for (const port of spec.ports ?? []) {
      const known = before.get(port.name);
      if (port.nodePort === undefined && known !== undefined && !used.has(known)) port.nodePort = known;
    }
  }
  if (hasHealthCheckPort(spec) && hasHealthCheckPort(old) && old.healthCheckNodePort !== undefined)
    spec.healthCheckNodePort ??= old.healthCheckNodePort;
}

/** Gives out what is missing and refuses what cannot be had. `others` are the node ports of other Services. */
export function allocateNodePorts(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  others: ReadonlySet<number>,
  seed: string,
  fault: Fault,
): void {
  /** The ports of this Service, each with the protocols that have it. */
  const taken = new Map<number, Set<string>>();
  const refusal = (port: number, user: string): string | undefined => {
    if (port < RANGE.first || port > RANGE.last)
      return `Invalid value: ${port}: provided port is not in the valid range. The range of valid ports is ${RANGE.first}-${RANGE.last}`;
    // One number may serve two protocols of one Service.
    return others.has(port) || taken.get(port)?.has(user) === true
      ? `Invalid value: ${port}: provided port is already allocated`
      : undefined;
  };
  const take = (port: number, user: string) => void taken.set(port, new Set([...(taken.get(port) ?? []), user]));
  // What an update gives up is free only after it.
  const givenUp = new Set(old === undefined ? [] : nodePortsOf(old));
  const isTaken = (port: number) => others.has(port) || taken.has(port) || givenUp.has(port);
  const free = (text: string) => freePort(isTaken, `${seed}:${text}`);
  if (hasNodePorts(spec)) {
    const ports = spec.ports ?? [];
    for (const [i, port] of ports.entries()) {
      if (port.nodePort === undefined) continue;
      const why = refusal(port.nodePort, port.protocol!);
      if (why === undefined) take(port.nodePort, port.protocol!);
      else fault(`spec.ports[${i}].nodePort`, why);
    }
    if (spec.allocateLoadBalancerNodePorts !== false)
      for (const port of ports) {
        if (port.nodePort !== undefined) continue;
        // For DNS: a new Service has one number for both protocols of a port.
        const twin = ports.find((other) => other.nodePort !== undefined && other.port === port.port);
        port.nodePort = (old === undefined ? twin?.nodePort : undefined) ?? free(`${port.protocol}/${port.port}`);
        take(port.nodePort, port.protocol!);
      }
  }
  if (!hasHealthCheckPort(spec) || (old !== undefined && hasHealthCheckPort(old))) return;
  const chosen = spec.healthCheckNodePort ?? free('health');
  // The health check has its port alone.
  const why = [...(taken.get(chosen) ?? []), '']
    .map((user) => refusal(chosen, user))
    .find((text) => text !== undefined);
  if (why !== undefined) fault('spec.healthCheckNodePort', why);
  spec.healthCheckNodePort = chosen;
}

/** Spread by a hash of the name, so that a Service that is created again tends to get the port that it had. */
function freePort(isTaken: (port: number) => boolean, seed: string): number {
  const size = RANGE.last - FIRST_FREE + 1;
  let hash = 5381;
  for (const character of seed) hash = (hash * 33 + character.charCodeAt(0)) % 4294967296;
  for (let i = 0; i < size; i++) {
    const port = FIRST_FREE + ((hash + i) % size);
    if (!isTaken(port)) return port;
  }
  for (let port = RANGE.first; port < FIRST_FREE; port++) if (!isTaken(port)) return port;
  return 0;
}
