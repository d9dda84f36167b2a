import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MalformedPacketError } from '../../../src/wire/malformed.ts';
import { CAP } from '../../../src/wire/capability.ts';
import { queryTextOffset } from '../../../src/wire/packets/query.ts';
import { queryAttributes } from '../../../src/wire/packets/query-attributes.ts';
import { PacketWriter } from '../../../src/wire/writer.ts';
import { ascii, hex } from '../../support/hex.ts';

interface Given {
  readonly name: string;
  /** enum_field_types, and 0x8000 for unsigned. */
  readonly type: number;
  /** null is NULL. */
  readonly value: Buffer | null;
}

const STRING = 0xfe;
const text = (value: string): Buffer =>
  new PacketWriter(8).lenenc(Buffer.byteLength(value)).string(value).finish(0).subarray(4);

/** A COM_QUERY payload. */
function query(attributes: readonly Given[], statement: string): Buffer {
  const nulls = Buffer.alloc(Math.ceil(attributes.length / 8));
  const parts: Buffer[] = [];
  for (const [index, { name, type, value }] of attributes.entries()) {
    if (value === null)
      nulls.writeUInt8(nulls.readUInt8(index >> 3) | (1 << (index & 7)), index >> 3);
    parts.push(Buffer.of(type & 0xff, type >> 8), text(name));
  }
  for (const { value } of attributes) if (value !== null) parts.push(value);
  const head = Buffer.of(3, attributes.length, 1);
  const types = attributes.length === 0 ? [] : [nulls, Buffer.of(1), ...parts];
  return Buffer.concat([head, ...types, Buffer.from(statement)]);
}

const read = (payload: Buffer, end = payload.length) =>
  queryAttributes(payload, 0, end, 'lagwise.');

describe('query attributes', () => {
  test('are those of the prefix, whatever stands between', () => {
    const payload = query(
      [
        { name: 'traceparent', type: STRING, value: text('00-ab-cd') },
        { name: 'Lagwise.Target', type: STRING, value: text('primary') },
        { name: 'n', type: 0x08, value: Buffer.alloc(8, 1) },
        { name: 'lagwise.tag', type: STRING, value: null },
        { name: 'lagwise', type: STRING, value: text('no') },
        { name: 'lagwise.max_lag_ms', type: 0x03, value: hex('f4010000') },
      ],
      'SELECT 1',
    );
    expect(read(payload)).toEqual([
      { name: 'Lagwise.Target', value: 'primary' },
      { name: 'lagwise.tag', value: null },
      { name: 'lagwise.max_lag_ms', value: '500' },
    ]);
    const at = queryTextOffset(payload, 0, payload.length, CAP.QUERY_ATTRIBUTES);
    expect(payload.toString('latin1', at)).toBe('SELECT 1');
  });

  test.each([
    ['TINY', 0x01, 'ff', '-1'],
    ['unsigned TINY', 0x8001, 'ff', '255'],
    ['SHORT', 0x02, 'feff', '-2'],
    ['LONG', 0x03, '01000080', '-2147483647'],
    ['unsigned LONG', 0x8003, 'ffffffff', '4294967295'],
    ['LONGLONG', 0x08, 'ffffffffffffffff', '-1'],
    ['unsigned LONGLONG', 0x8008, 'ffffffffffffffff', '18446744073709551615'],
    ['VARCHAR', 0x0f, '02c3bc', 'ü'],
    ['VAR_STRING', 0xfd, '0161', 'a'],
    ['BLOB', 0xfc, '00', ''],
    ['DOUBLE', 0x05, '0000000000000000', null],
    ['DATE', 0x0a, '04e7070101', null],
    ['JSON', 0xf5, '027b7d', null],
  ])('of type %s are read', (_, type, dump, expected) => {
    const payload = query([{ name: 'lagwise.x', type, value: hex(dump) }], 'SELECT 1');
    expect(read(payload)).toEqual([{ name: 'lagwise.x', value: expected }]);
  });

  test('a value that is too long to be meant for a proxy is none', () => {
    const value = Buffer.concat([hex('fd 010400'), Buffer.alloc(1025, 'a')]);
    expect(read(query([{ name: 'lagwise.tag', type: STRING, value }], ''))).toEqual([
      { name: 'lagwise.tag', value: null },
    ]);
  });

  test('there are none where the count is none', () => {
    expect(read(query([], 'SELECT 1'))).toEqual([]);
  });

  test('cut at any byte they are malformed, and nothing else', () => {
    const payload = query(
      [
        { name: 'lagwise.target', type: STRING, value: text('primary') },
        { name: 'lagwise.max_lag_ms', type: 0x08, value: Buffer.alloc(8) },
        { name: 'at', type: 0x0c, value: hex('07e7070101010101') },
      ],
      '',
    );
    for (let end = 1; end < payload.length; end += 1) {
      expect(() => read(payload, end), String(end)).toThrow(MalformedPacketError);
    }
    expect(read(payload)).toHaveLength(2);
  });

  test.each([
    ['two parameter sets', '03 01 02 00 01 fe00 00 00'],
    ['no types', '03 01 01 00 00'],
    ['an unknown type', '03 01 01 00 01 1100 00 00'],
    ['a count beyond reason', '03 fdffffff 01'],
    ['a name beyond the end', `03 01 01 00 01 fe00 7f ${ascii('lagwise.')}`],
  ])('with %s are malformed', (_, dump) => {
    expect(() => read(hex(dump))).toThrow(MalformedPacketError);
  });

  test('of any bytes end in a list or as malformed, and agree with where the text begins', () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((rest) => Buffer.from([3, ...rest]));
    const likely = fc
      .uint8Array({ maxLength: 40 })
      .map((rest) => Buffer.from([3, 2, 1, 0, 1, 0xfe, 0, 1, 0x61, 0xfe, 0, 0, ...rest]));
    fc.assert(
      fc.property(fc.oneof(bytes, likely), (payload) => {
        const attempt = (run: () => unknown) => {
          try {
            run();
            return 'ok';
          } catch (thrown) {
            if (!(thrown instanceof MalformedPacketError)) throw thrown;
            return 'malformed';
          }
        };
        const offset = () => queryTextOffset(payload, 0, payload.length, CAP.QUERY_ATTRIBUTES);
        expect(attempt(() => queryAttributes(payload, 0, payload.length, ''))).toBe(
          attempt(offset),
        );
      }),
      { numRuns: 3000 },
    );
  });
});
