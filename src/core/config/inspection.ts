/**
 * How configuration objects of every kind are read: in which order, how problems are collected, and what stays in
 * force when an object is invalid.
 * @module
 */
import { type ObjectSchema, type Output, referenceTo, validateObject } from '../api/kind.ts';
import type { KubernetesObject, LabelSelector } from '../api/kubernetes.ts';
import { fieldPath, type ObjectReference, type Problem } from '../api/problem.ts';
import { canonicalSelector, formatSelector, selectorFaults } from '../api/selector.ts';
import { type IpAddress, parseAddress } from '../net/address.ts';
import { compareText } from '../net/order.ts';

/** Problems of one object that are told, of those that may pass by themselves and of the others. */
const MOST_PROBLEMS = 100;

/** Selectors in one list (rule G4): each is held against every node, namespace or pool. */
const MOST_SELECTORS = 1000;

/** Collects the problems of one object. */
export class Inspection {
  readonly problems: Problem[] = [];
  /** How many there are of those that may pass by themselves, and of the others. */
  readonly #counts = { transient: 0, lasting: 0 };
  readonly object: ObjectReference;

  constructor(object: ObjectReference) {
    this.object = object;
  }

  get isClean(): boolean {
    return this.problems.length === 0;
  }

  /** So much is wrong that no more is told. */
  get isFull(): boolean {
    return this.#counts.lasting >= MOST_PROBLEMS;
  }

  #add(problem: Problem): void {
    const kind = problem.transient === true ? 'transient' : 'lasting';
    if (this.#counts[kind]++ < MOST_PROBLEMS) this.problems.push(problem);
  }

  /** The object with its defaults, checked against the schema of its kind; undefined when it does not match, which is reported. */
  validate<S extends ObjectSchema>(schema: S, object: KubernetesObject): Output<S> | undefined {
    // The status is not the user's, and an int64 in it may exceed what a JavaScript number holds exactly.
    const wish = Object.fromEntries(Object.entries(object).filter(([field]) => field !== 'status'));
    const validated = validateObject(this.object.kind, schema, wish as unknown as KubernetesObject);
    if (validated.ok) return validated.value;
    for (const problem of validated.problems) this.#add(problem);
    return undefined;
  }

  report(path: readonly PropertyKey[], value: string, message: string, cure: string): void {
    this.#add({ object: this.object, field: fieldPath(path), value, message, cure });
  }

  /** Reports that a referenced object is missing; it may still be created, so the problem is transient. */
  awaits(path: readonly PropertyKey[], value: string, message: string, cure: string): void {
    this.#add({ object: this.object, field: fieldPath(path), value, message, cure, transient: true });
  }

  /** Upstream's generic rule for lists of strings: no duplicates (G1). */
  unique(path: readonly PropertyKey[], values: readonly string[]): void {
    const seen = new Set<string>();
    for (const [i, value] of values.entries()) {
      if (seen.has(value)) this.report([...path, i], value, 'this is listed twice', 'list it once');
      seen.add(value);
    }
  }

  /** The generic rules for lists of selectors (G2, G4). Returns the list; of one that is too long only the first, as it is refused anyway. */
  selectors(path: readonly PropertyKey[], selectors: readonly LabelSelector[] = []): readonly LabelSelector[] {
    if (!this.isListable(path, selectors)) return selectors.slice(0, 1);
    const seen = new Set<string>();
    for (const [i, selector] of selectors.entries()) {
      this.selector([...path, i], selector);
      const text = canonicalSelector(selector);
      if (seen.has(text))
        this.report([...path, i], formatSelector(selector), 'this selector is listed twice', 'list it once');
      seen.add(text);
    }
    return selectors;
  }

  /** Our rule for the length of a list of selectors (G4). */
  isListable(path: readonly PropertyKey[], { length }: readonly unknown[]): boolean {
    if (length > MOST_SELECTORS)
      this.report(path, `${length} selectors`, `there may be ${MOST_SELECTORS} at most`, 'select by fewer labels');
    return length <= MOST_SELECTORS;
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
  /** Parses one object; any problem reported to the inspection makes it invalid. */
  readonly parse: (object: KubernetesObject, inspection: Inspection) => T | undefined;
  /** Reports conflicts with values that were accepted before. */
  readonly clashes?: (value: T, accepted: Iterable<T>, inspection: Inspection) => void;
  /** Told of each value that is accepted, so that `clashes` need not look at them one by one. */
  readonly accept?: (value: T) => void;
  /** Whether the problems of an invalid object are told here; default: yes. `last` is what was in force of it. */
  readonly concerns?: (object: KubernetesObject, last: T | undefined) => boolean;
}

/**
 * Reads all objects of a kind. An invalid object never affects a valid one: it is set aside or, if it was valid before,
 * its last good version stays in force; its problems say which. When two objects conflict, the older one stays. `good`
 * takes in what is valid by itself, oldest first: some of it may be in force elsewhere.
 */
export function readAll<T extends { readonly name: string }>(
  reading: Reading<T>,
  problems: Problem[],
  good: T[] = [],
): T[] {
  const { kind, clashes = () => {}, concerns = () => true, accept = () => {} } = reading;
  const accepted = new Map<string, T>();
  const previous = new Map(reading.previous.map((value) => [value.name, value]));
  const take = (value: T) => {
    accepted.set(value.name, value);
    accept(value);
  };
  for (const object of [...reading.objects].sort(byAge)) {
    const { name } = object.metadata;
    const inspection = new Inspection(referenceTo(kind, object));
    const value = reading.parse(object, inspection);
    const isTwin = accepted.has(name);
    if (isTwin) {
      const message = `there is an older ${kind} of this name in another namespace`;
      inspection.report(['metadata', 'name'], name, message, 'use another name');
    }
    const last = isTwin ? undefined : previous.get(name);
    const valid = inspection.isClean && value !== undefined ? value : last;
    if (valid !== undefined) good.push(valid);
    if (value !== undefined) clashes(value, accepted.values(), inspection);
    if (value !== undefined && inspection.isClean) {
      take(value);
      continue;
    }
    const trial = new Inspection(inspection.object);
    if (last !== undefined) clashes(last, accepted.values(), trial);
    const isKept = last !== undefined && trial.isClean;
    if (isKept) take(last);
    if (!concerns(object, last)) continue;
    const consequence = isKept
      ? 'until then the last good version stays in force'
      : 'until then the object is set aside';
    problems.push(...inspection.problems.map((problem) => ({ ...problem, consequence })));
  }
  return [...accepted.values()].sort((a, b) => compareText(a.name, b.name));
}

/** Oldest first, then by name, so that a conflict is always the fault of the later object. */
function byAge(a: KubernetesObject, b: KubernetesObject): number {
  const [ageA, ageB] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return compareText(ageA, ageB) || compareText(a.metadata.name, b.metadata.name);
}
