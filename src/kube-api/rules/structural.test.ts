import { describe, expect, it } from 'vitest';
import { checkStructure, type Schema } from './structural.ts';

const of = (property: Schema): Schema => ({ type: 'object', properties: { f: property } });
const messages = (schema: Schema, value: unknown, old?: unknown) =>
  checkStructure(schema, value, old).faults.map(({ field, message }) => `${field}: ${message}`);

describe('values', () => {
  it.each<[string, Schema, unknown, unknown, string]>([
    ['type object', { type: 'object' }, {}, [], 'must be of type object: "array"'],
    ['type array', { type: 'array' }, [], {}, 'must be of type array: "object"'],
    ['type integer', { type: 'integer' }, 1, 1.5, 'must be of type integer: "number"'],
    ['type number', { type: 'number' }, 1.5, 'x', 'must be of type number: "string"'],
    ['type string', { type: 'string' }, 'x', 1, 'must be of type string: "integer"'],
    ['type boolean', { type: 'boolean' }, false, 'x', 'must be of type boolean: "string"'],
    ['int-or-string', { 'x-kubernetes-int-or-string': true }, '1', 1.5, 'must be of type integer or string: "number"'],
    ['minimum', { type: 'integer', minimum: 1 }, 1, 0, 'should be greater than or equal to 1'],
    ['maximum', { type: 'integer', maximum: 9 }, 9, 10, 'should be less than or equal to 9'],
    ['int32 above', { type: 'integer', format: 'int32' }, 2147483647, 2147483648, 'does not fit into 32 bits'],
    ['int32 below', { type: 'integer', format: 'int32' }, -2147483648, -2147483649, 'does not fit into 32 bits'],
    ['minLength', { type: 'string', minLength: 2 }, 'ab', 'a', 'should be at least 2 chars long'],
    ['maxLength', { type: 'string', maxLength: 2 }, 'ab', 'abc', 'may not be longer than 2'],
    ['pattern', { type: 'string', pattern: '^a+$' }, 'aa', 'ab', "should match '^a+$'"],
    ['minItems', { type: 'array', minItems: 1 }, [1], [], 'should have at least 1 items'],
    ['maxItems', { type: 'array', maxItems: 1 }, [1], [1, 2], 'should have at most 1 items'],
  ])('%s takes the last good value and refuses the first bad one', (_, schema, good, bad, message) => {
    expect(messages(of(schema), { f: good })).toEqual([]);
    expect(messages(of(schema), { f: bad })).toEqual([`f: Invalid value: ${JSON.stringify(bad)}: ${message}`]);
  });

  it('outside an enum are refused with what is supported', () => {
    const schema = of({ type: 'string', enum: ['a', 'b'] });
    expect(messages(schema, { f: 'b' })).toEqual([]);
    expect(messages(schema, { f: 'c' })).toEqual(['f: Unsupported value: "c": supported values: "a", "b"']);
  });

  it('are named by their path through lists and maps', () => {
    const leaf: Schema = { type: 'integer' };
    const map: Schema = { type: 'object', additionalProperties: leaf };
    expect(messages(of({ type: 'array', items: map }), { f: [{}, { k: 'x' }] })[0]).toMatch(/^f\[1\]\[k\]: /);
  });
});

describe('fields', () => {
  it('that the schema does not know are removed and reported', () => {
    const { value, unknown } = checkStructure({ properties: { a: of({}) } }, { a: { f: 1, g: 2 } }, undefined);
    expect(value).toEqual({ a: { f: 1 } });
    expect(unknown).toEqual(['a.g']);
  });

  it.each<[string, Schema]>([
    ['the schema preserves them', { properties: {}, 'x-kubernetes-preserve-unknown-fields': true }],
    ['any additional property is allowed', { properties: {}, additionalProperties: true }],
    ['the schema says nothing of its fields', { type: 'object' }],
  ])('that the schema does not know stay when %s', (_, schema) => {
    expect(checkStructure(schema, { g: 2 }, undefined)).toEqual({ value: { g: 2 }, faults: [], unknown: [] });
  });

  it('that are absent or null get their default', () => {
    const schema = of({ type: 'string', default: 'x' });
    for (const value of [{}, { f: null }]) expect(checkStructure(schema, value, undefined).value).toEqual({ f: 'x' });
    expect(checkStructure(schema, { f: 'y' }, undefined).value).toEqual({ f: 'y' });
  });

  it('that are required are missed, unless they have a default', () => {
    expect(messages({ ...of({ type: 'string' }), required: ['f'] }, {})).toEqual(['f: Required value']);
    expect(messages({ ...of({ default: 1 }), required: ['f'] }, {})).toEqual([]);
  });
});

describe('rules', () => {
  const rule = (text: string, message?: string): Schema =>
    of({ type: 'integer', 'x-kubernetes-validations': [{ rule: text, ...(message !== undefined && { message }) }] });

  it('that are broken say their message, or themselves', () => {
    expect(messages(rule('self > 1'), { f: 2 })).toEqual([]);
    expect(messages(rule('self > 1', 'too small'), { f: 1 })).toEqual(['f: Invalid value: 1: too small']);
    expect(messages(rule('self > 1'), { f: 1 })).toEqual(['f: Invalid value: 1: failed rule: self > 1']);
  });

  it('that compare with the old value hold while there is none', () => {
    const immutable = rule('self == oldSelf', 'immutable');
    expect(messages(immutable, { f: 1 })).toEqual([]);
    expect(messages(immutable, { f: 1 }, { f: 1 })).toEqual([]);
    expect(messages(immutable, { f: 1 }, { f: 2 })).toEqual(['f: Invalid value: 1: immutable']);
  });
});

describe.each(['constructor', '__proto__', 'toString'])('a field named %s', (key) => {
  const json = (value: string) =>
    JSON.parse(`{"f": ${value.replaceAll('KEY', `"${key}"`)}}`) as Record<string, unknown>;
  const schemaOf = (text: string) => of(JSON.parse(text.replaceAll('KEY', `"${key}"`)) as Schema);
  const integer = '{"type": "object", "properties": {KEY: {"type": "integer"}}}';

  it('is unknown to a schema that does not declare it', () => {
    const checked = checkStructure(of({ type: 'object', properties: {} }), json('{KEY: 1}'), undefined);
    expect(checked.unknown).toEqual([`f.${key}`]);
    expect(JSON.stringify(checked.value)).toBe('{"f":{}}');
  });

  it('is checked by a schema that declares it', () => {
    expect(JSON.stringify(checkStructure(schemaOf(integer), json('{KEY: 1}'), undefined).value)).toBe(
      `{"f":{"${key}":1}}`,
    );
    expect(messages(schemaOf(integer), json('{KEY: "x"}'))).toEqual([
      `f.${key}: Invalid value: "x": must be of type integer: "string"`,
    ]);
  });

  it('is missed, and gets its default', () => {
    expect(
      messages(
        schemaOf('{"type": "object", "required": [KEY], "x-kubernetes-preserve-unknown-fields": true}'),
        json('{}'),
      ),
    ).toEqual([`f.${key}: Required value`]);
    const withDefault = schemaOf('{"type": "object", "properties": {KEY: {"type": "integer", "default": 7}}}');
    expect(JSON.stringify(checkStructure(withDefault, json('{}'), undefined).value)).toBe(`{"f":{"${key}":7}}`);
  });

  it('stays in a map and where everything is preserved', () => {
    for (const schema of [
      { type: 'object', additionalProperties: { type: 'integer' } },
      { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    ] satisfies Schema[])
      expect(JSON.stringify(checkStructure(of(schema), json('{KEY: 1}'), undefined).value)).toBe(`{"f":{"${key}":1}}`);
  });

  it('is seen by rules as any other field is', () => {
    const rule = (text: string): Schema => ({
      type: 'object',
      'x-kubernetes-preserve-unknown-fields': true,
      'x-kubernetes-validations': [{ rule: text }],
    });
    expect(messages(of(rule(`has(self.${key})`)), json('{}'))).toHaveLength(1);
    expect(messages(of(rule(`!has(self.${key})`)), json('{}'))).toEqual([]);
    expect(messages(of(rule(`self.${key} == 1`)), json('{KEY: 1}'))).toEqual([]);
  });
});

describe('a pattern', () => {
  // Fifty letters keep an engine that tries every way busy for longer than there are computers.
  const evil = '^(a+)+$';
  const text = `${'a'.repeat(50)}b`;

  it('is tried in time that grows with the text', () => {
    expect(messages(of({ type: 'string', pattern: evil }), { f: text })).toHaveLength(1);
    expect(messages(of({ type: 'string', pattern: evil }), { f: 'aaa' })).toEqual([]);
  });

  it.each([
    ['a rule', `self.matches('${evil}')`, text],
    ['a rule about every item', `self.all(x, x.matches('${evil}'))`, [text]],
    ['a rule whose pattern is in the object', 'self.text.matches(self.pattern)', { text, pattern: evil }],
  ])('in %s, too', (_, rule, value) => {
    const schema: Schema = { 'x-kubernetes-preserve-unknown-fields': true, 'x-kubernetes-validations': [{ rule }] };
    expect(messages(of(schema), { f: value })).toEqual([expect.stringContaining(`failed rule: ${rule}`)]);
  });

  it.each([
    ['is found anywhere in the text', 'b', 'abc', true],
    ['is of RE2: \\z is the end of the text', 'c\\z', 'abc', true],
    ['is of RE2: a flag may stand inside', '(?i)ABC', 'abc', true],
    ['counts characters, not halves of them', '^.$', '\u{1f600}', true],
    ['does not end before a line feed', '^a$', 'a\n', false],
  ])('%s', (_, pattern, text, found) => {
    expect(messages(of({ type: 'string', pattern }), { f: text })).toHaveLength(found ? 0 : 1);
  });
});
