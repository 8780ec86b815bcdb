/**
 * The frame in which every kind of configuration object is looked at: who comes first, what is collected about each,
 * and what stays in force when an object is bad.
 * @module
 */
import { type ObjectSchema, type Output, referenceTo, validateObject } from '../api/kind.ts';
import type { KubernetesObject, LabelSelector } from '../api/kubernetes.ts';
import { fieldPath, type ObjectReference, type Problem } from '../api/problem.ts';
import { canonicalSelector, selectorFaults } from '../api/selector.ts';
import { type IpAddress, parseAddress } from '../net/address.ts';

/** Collects what is wrong with one object. */
export class Inspection {
  readonly problems: Problem[] = [];
  readonly object: ObjectReference;

  constructor(object: ObjectReference) {
    this.object = object;
  }

  get isClean(): boolean {
    return this.problems.length === 0;
  }

  /** The object with its defaults, checked against the schema of its kind; undefined when it does not fit, which is reported. */
  validate<S extends ObjectSchema>(schema: S, object: KubernetesObject): Output<S> | undefined {
    // What somebody says about the object is none of its faults; and an int64 there may be more than JavaScript counts exactly.
    const wish = Object.fromEntries(Object.entries(object).filter(([field]) => field !== 'status'));
    const validated = validateObject(this.object.kind, schema, wish as unknown as KubernetesObject);
    if (validated.ok) return validated.value;
    this.problems.push(...validated.problems);
    return undefined;
  }

  report(path: readonly PropertyKey[], value: string, message: string, cure: string): void {
    this.problems.push({ object: this.object, field: fieldPath(path), value, message, cure });
  }

  /** Reports that another object is missing, which may come yet. */
  awaits(path: readonly PropertyKey[], value: string, message: string, cure: string): void {
    this.problems.push({ object: this.object, field: fieldPath(path), value, message, cure, transient: true });
  }

  /** Upstream's generic rule: no text twice in a list. */
  unique(path: readonly PropertyKey[], values: readonly string[]): void {
    for (const [i, value] of values.entries()) {
      if (values.indexOf(value) < i) this.report([...path, i], value, 'this is listed twice', 'list it once');
    }
  }

  /** Upstream's generic rules for a list of selectors. */
  selectors(path: readonly PropertyKey[], selectors: readonly LabelSelector[]): void {
    const seen = new Set<string>();
    for (const [i, selector] of selectors.entries()) {
      this.selector([...path, i], selector);
      const text = canonicalSelector(selector);
      if (seen.has(text)) this.report([...path, i], text, 'this selector is listed twice', 'list it once');
      seen.add(text);
    }
  }

  selector(path: readonly PropertyKey[], selector: LabelSelector): void {
    for (const fault of selectorFaults(selector))
      this.report([...path, ...fault.path], fault.value, fault.message, fault.cure);
  }

  /** An IP address, if the field is set. */
  address(path: readonly PropertyKey[], text: string | undefined): IpAddress | undefined {
    if (!text) return undefined;
    const address = parseAddress(text);
    if (address === undefined) this.report(path, text, 'this is not an IP address', 'write an IPv4 or IPv6 address');
    return address;
  }
}

/** How one kind is read. */
export interface Reading<T> {
  readonly kind: string;
  readonly objects: readonly KubernetesObject[];
  /** What was in force until now. */
  readonly previous: readonly T[];
  /** Reads one object; what is reported to the inspection makes it bad. */
  readonly parse: (object: KubernetesObject, inspection: Inspection) => T | undefined;
  /** Reports where the value excludes one that was accepted before it. */
  readonly clashes?: (value: T, accepted: readonly T[], inspection: Inspection) => void;
}

/**
 * Reads all objects of a kind. A bad object never takes a good one down: it is set aside, or, when it was good before,
 * its last good version stays in force, and its problem says which. Of two that exclude each other the older one wins.
 */
export function readAll<T extends { readonly name: string }>(reading: Reading<T>, problems: Problem[]): T[] {
  const { kind, clashes = () => {} } = reading;
  const accepted = new Map<string, T>();
  for (const object of [...reading.objects].sort(byAge)) {
    const { name } = object.metadata;
    const inspection = new Inspection(referenceTo(kind, object));
    const value = reading.parse(object, inspection);
    const isTwin = accepted.has(name);
    if (isTwin) {
      const message = `there is an older ${kind} of this name in another namespace`;
      inspection.report(['metadata', 'name'], name, message, 'use another name');
    }
    if (value !== undefined) clashes(value, [...accepted.values()], inspection);
    if (value !== undefined && inspection.isClean) {
      accepted.set(name, value);
      continue;
    }
    const last = isTwin ? undefined : reading.previous.find((candidate) => candidate.name === name);
    const trial = new Inspection(inspection.object);
    if (last !== undefined) clashes(last, [...accepted.values()], trial);
    const isKept = last !== undefined && trial.isClean;
    if (isKept) accepted.set(name, last);
    const consequence = isKept
      ? 'until then the last good version stays in force'
      : 'until then the object is set aside';
    problems.push(...inspection.problems.map((problem) => ({ ...problem, consequence })));
  }
  return [...accepted.values()].sort((a, b) => compareText(a.name, b.name));
}

/** Oldest first, then by name: what was there first keeps its place when two objects exclude each other. */
function byAge(a: KubernetesObject, b: KubernetesObject): number {
  const [ageA, ageB] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return compareText(ageA, ageB) || compareText(a.metadata.name, b.metadata.name);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
