import { describe, expect, test } from 'vitest';
import {
  backslashUnsafeCharset,
  charsetOf,
  isBackslashUnsafe,
  nameEncoding,
} from '../../../src/wire/charset.ts';

describe('character sets', () => {
  test.each([
    [8, 'latin1'],
    [33, 'utf8mb3'],
    [45, 'utf8mb4'],
    [63, 'binary'],
    [255, 'utf8mb4'],
    [309, 'utf8mb4'],
    [1069, 'utf8mb4'],
    [2304, 'utf8mb4'],
    [0, null],
    [17, null],
    [70_000, null],
  ])('of collation %i is %s', (id, charset) => {
    expect(charsetOf(id)).toBe(charset);
  });

  test('are unsafe for byte-wise lexing exactly where a second byte may be a backslash', () => {
    const unsafe = Array.from({ length: 4096 }, (_, id) => id).filter(isBackslashUnsafe);
    expect(unsafe).toEqual([
      1, 13, 28, 84, 87, 88, 95, 96, 248, 249, 250, 1025, 1037, 1052, 1108, 1111, 1112, 1119, 1120,
      1272, 1273, 1274,
    ]);
  });

  test('are judged by name where the server tells the name', () => {
    expect(backslashUnsafeCharset('gbk')).toBe('gbk');
    expect(backslashUnsafeCharset('utf8mb4')).toBeNull();
    expect(backslashUnsafeCharset(null)).toBeNull();
  });

  /** The decoders of the platform know which characters hold a backslash. */
  test.each([
    ['gbk', 'gbk'],
    ['big5', 'big5'],
    ['sjis', 'shift_jis'],
    ['gb18030', 'gb18030'],
  ])('of %s have characters that hold a backslash', (_name, label) => {
    const text = new TextDecoder(label).decode(Buffer.from([0x95, 0x5c]));
    expect(text).toHaveLength(1);
    expect(text).not.toBe('\uFFFD');
  });

  test.each(['euc-kr', 'euc-jp', 'utf-8'])('of %s have none', (label) => {
    for (let lead = 0x80; lead <= 0xff; lead += 1) {
      const text = new TextDecoder(label).decode(Buffer.from([lead, 0x5c, 0x61]));
      expect(text).toContain('\\');
    }
  });

  test('names are read as latin1 only in latin1', () => {
    expect(nameEncoding(8)).toBe('latin1');
    expect(nameEncoding(45)).toBe('utf8');
    expect(nameEncoding(0)).toBe('utf8');
  });
});
