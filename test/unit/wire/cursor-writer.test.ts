import { describe, expect, test } from 'vitest';
import { ByteCursor } from '../../../src/wire/cursor.ts';
import { MalformedPacketError } from '../../../src/wire/malformed.ts';
import { frame, frameCount, MAX_FRAME_BYTES, PacketWriter } from '../../../src/wire/writer.ts';
import { hex } from '../../support/hex.ts';

const written = (write: (writer: PacketWriter) => PacketWriter): Buffer =>
  write(new PacketWriter(0)).finish(0).subarray(4);

describe('length-encoded integers', () => {
  test.each<[number | bigint, string]>([
    [0, '00'],
    [250, 'fa'],
    [251, 'fcfb00'],
    [0xffff, 'fcffff'],
    [0x1_0000, 'fd000001'],
    [0xff_ffff, 'fdffffff'],
    [0x100_0000, 'fe0000000100000000'],
    [Number.MAX_SAFE_INTEGER, 'feffffffffffff1f00'],
    [2n ** 53n, 'fe0000000000002000'],
    [2n ** 64n - 1n, 'feffffffffffffffff'],
  ])('%s has its shortest form', (value, dump) => {
    expect(written((writer) => writer.lenenc(value)).toString('hex')).toBe(dump);
    const back = new ByteCursor(hex(dump)).lenencBig();
    expect(back).toBe(value);
  });

  test('over 2^53 are refused where a number is needed', () => {
    expect(() => new ByteCursor(hex('fe0000000000002000')).lenenc()).toThrow(MalformedPacketError);
  });

  test.each(['fb', 'ff'])('do not begin with %s', (dump) => {
    expect(() => new ByteCursor(hex(dump)).lenenc()).toThrow(/does not begin/);
  });
});

describe('cursor', () => {
  test('reads little-endian integers of every width', () => {
    const cursor = new ByteCursor(hex('01 0203 040506 0708090a 0b0c0d0e0f101112'));
    expect([cursor.u8(), cursor.u16(), cursor.u24(), cursor.u32(), cursor.u64()]).toEqual([
      0x01,
      0x0302,
      0x06_0504,
      0x0a09_0807,
      0x1211_100f_0e0d_0c0bn,
    ]);
    expect(cursor.remaining).toBe(0);
  });

  test('stops at its end though the buffer goes on', () => {
    const cursor = new ByteCursor(hex('61 62 00 63'), 0, 2);
    expect(() => cursor.nulBytes()).toThrow(MalformedPacketError);
    expect(() => cursor.u24()).toThrow(MalformedPacketError);
    expect(cursor.rest().toString()).toBe('ab');
  });

  test('refuses a string over its maximum, whatever is at hand', () => {
    expect(() => new ByteCursor(hex('03616263')).lenencBytes(2)).toThrow(/at most 2/);
  });

  test('refuses a length of petabytes at once', () => {
    const cursor = new ByteCursor(hex('fe00000000000010 00'));
    expect(() => cursor.lenencBytes(Number.MAX_SAFE_INTEGER)).toThrow(/cut short/);
  });

  test.each([
    [-1, 2],
    [3, 2],
    [0, 9],
  ])('is not made for the range %i to %i of 4 bytes', (pos, end) => {
    expect(() => new ByteCursor(Buffer.alloc(4), pos, end)).toThrow(MalformedPacketError);
  });
});

describe('writer', () => {
  test('grows from nothing and keeps what was written', () => {
    const text = 'x'.repeat(1000);
    const packet = new PacketWriter(0).u8(1).u16(2).u24(3).u32(0xffff_ffff).string(text).finish(5);
    expect(packet.subarray(0, 14).toString('hex')).toBe('f2030005010200030000ffffffff');
    expect(packet.toString('latin1', 14)).toBe(text);
  });

  test('refuses a name that would end early', () => {
    expect(() => new PacketWriter().nulString('a\0b')).toThrow(MalformedPacketError);
  });

  test.each([
    [MAX_FRAME_BYTES - 1, 1],
    [MAX_FRAME_BYTES, 2],
    [MAX_FRAME_BYTES + 1, 2],
  ])('cuts a payload of %i bytes into %i frames', (length, frames) => {
    const payload = Buffer.alloc(length, 1);
    const packet = new PacketWriter().bytes(payload).finish(255);
    expect(packet.length).toBe(length + 4 * frames);
    expect(packet.equals(frame(payload, 255))).toBe(true);
    expect(frameCount(length)).toBe(frames);
    if (frames === 2) {
      const second = packet.subarray(4 + MAX_FRAME_BYTES);
      expect(second.readUIntLE(0, 3)).toBe(length - MAX_FRAME_BYTES);
      expect(second.readUInt8(3)).toBe(0);
    }
  });
});
