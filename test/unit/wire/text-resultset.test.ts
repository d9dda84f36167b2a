import { describe, expect, test } from 'vitest';
import { CAP, union } from '../../../src/wire/capability.ts';
import { ByteCursor, LENENC_NULL } from '../../../src/wire/cursor.ts';
import { Framer, type Packet } from '../../../src/wire/framer.ts';
import { decodeEof } from '../../../src/wire/packets/eof.ts';
import { decodeOk } from '../../../src/wire/packets/ok.ts';
import { encodeTextResultset } from '../../../src/wire/text-resultset.ts';

const result = {
  columns: ['id', 'name'],
  rows: [
    ['1', 'ä'.repeat(200)],
    ['2', null],
  ],
};

function packets(caps: number, seq = 1): Packet[] {
  const framer = new Framer(1024 * 1024);
  framer.push(encodeTextResultset(result, { caps, seq, status: 2 }));
  const all: Packet[] = [];
  for (let packet = framer.next(); packet !== null; packet = framer.next()) all.push(packet);
  return all;
}

function readRow(payload: Buffer | undefined): (string | null)[] {
  const cursor = new ByteCursor(payload ?? Buffer.alloc(0));
  const row: (string | null)[] = [];
  while (cursor.remaining > 0) {
    if (cursor.peek() === LENENC_NULL) {
      cursor.skip(1);
      row.push(null);
    } else {
      row.push(cursor.lenencBytes(1024).toString());
    }
  }
  return row;
}

describe('text result set', () => {
  test('with EOF packets behind definitions and rows', () => {
    const all = packets(CAP.PROTOCOL_41);
    expect(all.map((packet) => packet.seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(all[0]?.payload).toEqual(Buffer.from([2]));
    expect(decodeEof(all[3]?.payload ?? Buffer.alloc(0)).status).toBe(2);
    expect([readRow(all[4]?.payload), readRow(all[5]?.payload)]).toEqual(result.rows);
    expect(decodeEof(all[6]?.payload ?? Buffer.alloc(0)).status).toBe(2);
  });

  test('without them ends with an OK that begins with 0xFE', () => {
    const caps = union(CAP.PROTOCOL_41, CAP.DEPRECATE_EOF);
    const all = packets(caps, 254);
    expect(all.map((packet) => packet.seq)).toEqual([254, 255, 0, 1, 2, 3]);
    expect([readRow(all[3]?.payload), readRow(all[4]?.payload)]).toEqual(result.rows);
    expect(all[5]?.payload[0]).toBe(0xfe);
    expect(decodeOk(all[5]?.payload ?? Buffer.alloc(0), caps).status).toBe(2);
  });

  test('says that definitions follow, where that is optional', () => {
    const [count] = packets(CAP.OPTIONAL_RESULTSET_METADATA);
    expect(count?.payload).toEqual(Buffer.from([2, 1]));
  });

  test('defines columns as utf8mb4 texts', () => {
    const cursor = new ByteCursor(packets(0)[1]?.payload ?? Buffer.alloc(0));
    const strings = Array.from({ length: 6 }, () => cursor.lenencBytes(99).toString());
    expect(strings).toEqual(['def', '', '', '', 'id', '']);
    expect(cursor.lenenc()).toBe(12);
    expect(cursor.u16()).toBe(45);
    cursor.skip(4);
    expect(cursor.u8()).toBe(0xfd);
    cursor.skip(5);
    cursor.expectEnd();
  });
});
