/**
 * One-token mistakes that somebody could make in a source file: what a test should notice.
 * @module
 */
import { parseAst } from 'vitest/node';

export interface Mutant {
  /** What is replaced, as offsets in the source. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Of the line where it begins, from 1. */
  readonly line: number;
  /** For people: what becomes what. */
  readonly change: string;
}

/** As far as we look at it; ESTree with TypeScript's own nodes. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const OTHER_OPERATOR: Readonly<Record<string, readonly string[]>> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '===': ['!=='],
  '!==': ['==='],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '<<': ['>>'],
  '>>': ['<<'],
  '>>>': ['<<'],
  '&': ['|'],
  '|': ['&'],
  '&&': ['||'],
  '||': ['&&'],
  '+=': ['-='],
  '-=': ['+='],
  '++': ['--'],
  '--': ['++'],
};
const OTHER_METHOD: Readonly<Record<string, string>> = { min: 'max', max: 'min', some: 'every', every: 'some' };
/** What leaves a loop or a function early. */
const LEAVES = ['ReturnStatement', 'ContinueStatement', 'BreakStatement', 'ThrowStatement'];

/** All of them, in the order of the source. Types are left alone: they do nothing. */
export function mutantsOf(source: string): Mutant[] {
  const found: Mutant[] = [];
  const say = (text: string) => {
    const words = text.replace(/\s+/g, ' ').trim();
    return words.length > 60 ? `${words.slice(0, 57)}…` : words;
  };
  const add = ({ start, end }: Pick<Node, 'start' | 'end'>, text: string, context?: Node, after = text) => {
    const line = source.slice(0, start).split('\n').length;
    const [from, to] =
      context === undefined
        ? [source.slice(start, end), after]
        : [
            source.slice(context.start, context.end),
            source.slice(context.start, start) + text + source.slice(end, context.end),
          ];
    found.push({ start, end, text, line, change: `${say(from)}  →  ${say(to) || 'nothing'}` });
  };
  const operator = (node: Node, left: Node, right: Node) => {
    const start = source.indexOf(node.operator as string, left.end);
    const token = { start, end: start + (node.operator as string).length };
    if (start < 0 || start > right.start) return;
    for (const other of OTHER_OPERATOR[node.operator as string] ?? []) add(token, other, node);
  };
  const visitors: Readonly<Record<string, (node: Node) => void>> = {
    BinaryExpression: (node) => {
      const [left, right] = [node.left as Node, node.right as Node];
      // A minus between texts is no mistake that anybody makes.
      if (![left, right].some(isText)) operator(node, left, right);
    },
    AssignmentExpression: (node) => operator(node, node.left as Node, node.right as Node),
    LogicalExpression: (node) => {
      const [left, right] = [node.left as Node, node.right as Node];
      if (node.operator === '??') add({ start: left.end, end: node.end }, '', node);
      else operator(node, left, right);
    },
    UpdateExpression: (node) => {
      const start = node.prefix ? node.start : node.end - 2;
      for (const other of OTHER_OPERATOR[node.operator as string] ?? []) add({ start, end: start + 2 }, other, node);
    },
    UnaryExpression: (node) => {
      if (node.operator === '!') add({ start: node.start, end: (node.argument as Node).start }, '', node);
    },
    ConditionalExpression: (node) => {
      const [yes, no] = [node.consequent as Node, node.alternate as Node];
      const between = source.slice(yes.end, no.start);
      add(
        { start: yes.start, end: no.end },
        source.slice(no.start, no.end) + between + source.slice(yes.start, yes.end),
        node,
      );
    },
    CallExpression: (node) => {
      const callee = node.callee as Node;
      const property = callee.property as Node | undefined;
      const other = OTHER_METHOD[(property?.name as string | undefined) ?? ''];
      if (callee.type === 'MemberExpression' && property !== undefined && other !== undefined)
        add(property, other, node);
    },
    Literal: (node) => {
      if (typeof node.value === 'boolean') add(node, String(!node.value));
      if (typeof node.value === 'number' && Number.isInteger(node.value))
        for (const by of [1, -1]) add(node, String(node.value + by));
      if (typeof node.value === 'bigint') for (const by of [1n, -1n]) add(node, `${(node.value as bigint) + by}n`);
    },
    IfStatement: (node) => {
      const only = node.consequent as Node;
      const first = only.type === 'BlockStatement' ? (only.body as Node[])[0] : only;
      if (node.alternate == null && first !== undefined && LEAVES.includes(first.type)) add(node, ';', undefined, '');
    },
    ExpressionStatement: (node) => {
      if (typeof node.directive !== 'string') add(node, ';', undefined, '');
    },
  };
  const walk = (node: Node): void => {
    if (node.type.startsWith('TS') && !/^TS(As|NonNull|Satisfies)/.test(node.type)) return;
    if (/^(Import|ExportAll)/.test(node.type)) return;
    visitors[node.type]?.(node);
    for (const [key, value] of Object.entries(node)) {
      // A key of an object is a name and no value.
      if (key === 'key' && node.computed !== true) continue;
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) walk(child);
    }
  };
  walk(parseAst(source, { lang: 'ts' }) as unknown as Node);
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

export function apply(source: string, { start, end, text }: Mutant): string {
  return source.slice(0, start) + text + source.slice(end);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

function isText(node: Node): boolean {
  return (
    node.type === 'TemplateLiteral' ||
    (node.type === 'Literal' && typeof node.value === 'string') ||
    (node.type === 'BinaryExpression' && [node.left as Node, node.right as Node].some(isText))
  );
}
