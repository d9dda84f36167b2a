import { randomBytes } from 'node:crypto';
import { deflateSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  CompressedDecoder,
  type CompressionAlgorithm,
  encodeCompressed,
} from '../../../src/wire/compressed-frame.ts';
import { MalformedPacketError } from '../../../src/wire/malformed.ts';
import { MAX_FRAME_BYTES } from '../../../src/wire/writer.ts';
import { hex } from '../../support/hex.ts';

const ALGORITHMS: CompressionAlgorithm[] = ['zlib', 'zstd'];

/** A compressed frame put together by hand. */
function compressedFrame(body: Buffer, seq: number, plainBytes: number): Buffer {
  const header = Buffer.alloc(7);
  header.writeUIntLE(body.length, 0, 3);
  header.writeUInt8(seq, 3);
  header.writeUIntLE(plainBytes, 4, 3);
  return Buffer.concat([header, body]);
}

function unpack(algorithm: CompressionAlgorithm, bytes: Buffer, step: number) {
  const decoder = new CompressedDecoder(algorithm);
  const seqs: number[] = [];
  const payloads: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    decoder.push(bytes.subarray(at, at + step));
    for (let piece = decoder.next(); piece !== null; piece = decoder.next()) {
      seqs.push(piece.seq);
      payloads.push(piece.payload);
    }
  }
  return { seqs, payload: Buffer.concat(payloads), left: decoder.bufferedBytes };
}

describe.each(ALGORITHMS)('compressed protocol with %s', (algorithm) => {
  const compress = algorithm === 'zlib' ? deflateSync : zstdCompressSync;
  const plain = Buffer.alloc(1000, 'abc');

  test.each([
    ['of 49 bytes goes as it is', 49, 49],
    ['of 50 bytes is compressed', 50, 0],
  ])('a piece %s', (_name, length, stored) => {
    const { bytes } = encodeCompressed(Buffer.alloc(length, 1), 0, algorithm, 3);
    expect(bytes.readUIntLE(4, 3)).toBe(stored === 0 ? length : 0);
    if (stored > 0) expect(bytes.readUIntLE(0, 3)).toBe(stored);
    expect(unpack(algorithm, bytes, 1).payload).toEqual(Buffer.alloc(length, 1));
  });

  test('what would not shrink goes as it is', () => {
    const noise = randomBytes(10_000);
    const { bytes } = encodeCompressed(noise, 0, algorithm, 3);
    expect(bytes.readUIntLE(4, 3)).toBe(0);
    expect(bytes.subarray(7).equals(noise)).toBe(true);
  });

  test('a payload over 16 MB becomes frames whose ids wrap around', () => {
    const big = Buffer.alloc(MAX_FRAME_BYTES + 100, 'pattern');
    const { bytes, nextSeq } = encodeCompressed(big, 255, algorithm, 1);
    expect(nextSeq).toBe(1);
    const back = unpack(algorithm, bytes, 65_536);
    expect(back.seqs).toEqual([255, 0]);
    expect(back.payload.equals(big)).toBe(true);
    expect(back.left).toBe(0);
  });

  test('frames are read however they are split', () => {
    const { bytes } = encodeCompressed(plain, 3, algorithm, 3);
    const two = Buffer.concat([bytes, encodeCompressed(Buffer.from('x'), 4, algorithm, 3).bytes]);
    for (let step = 1; step <= two.length; step += 1) {
      const back = unpack(algorithm, two, step);
      expect(back.seqs).toEqual([3, 4]);
      expect(back.payload.equals(Buffer.concat([plain, Buffer.from('x')]))).toBe(true);
    }
  });

  test.each([
    ['less', plain.length + 1, /less than it declares/],
    // Told by the bound on the output, not by its length: nothing more was ever unpacked.
    ['more', plain.length - 1, /does not unpack/],
    ['far more', 1, /does not unpack/],
  ])('a frame that unpacks to %s than it declares is refused', (_name, declared, message) => {
    const decoder = new CompressedDecoder(algorithm);
    decoder.push(compressedFrame(compress(plain), 0, declared));
    expect(() => decoder.next()).toThrow(message);
    expect(() => decoder.push(Buffer.alloc(1))).toThrow(MalformedPacketError);
  });

  test('a frame that is cut or no compressed data at all is refused', () => {
    for (const body of [compress(plain).subarray(0, -5), randomBytes(60), Buffer.alloc(0)]) {
      const decoder = new CompressedDecoder(algorithm);
      decoder.push(compressedFrame(body, 0, plain.length));
      expect(() => decoder.next()).toThrow(MalformedPacketError);
    }
  });

  test('more than one frame ahead is refused', () => {
    const decoder = new CompressedDecoder(algorithm);
    expect(() => {
      for (let sent = 0; sent < 32; sent += 1) decoder.push(Buffer.alloc(1024 * 1024, 0xff));
    }).toThrow(/without waiting/);
  });
});

describe('a zstd frame with one stored block', () => {
  const plain = Buffer.alloc(100, 'x');
  /** RFC 8878: magic, no content size, window descriptor, header of the last block, its bytes. */
  const withWindow = (windowLog: number): Buffer =>
    Buffer.concat([hex('28b52ffd 00'), Buffer.from([(windowLog - 10) << 3]), hex('210300'), plain]);
  const unpacked = (windowLog: number): Buffer | undefined => {
    const decoder = new CompressedDecoder('zstd');
    decoder.push(compressedFrame(withWindow(windowLog), 0, plain.length));
    return decoder.next()?.payload;
  };

  test('is read with a window of 16 MiB', () => {
    expect(unpacked(24)).toEqual(plain);
  });

  test('is refused with a larger window, which would cost that memory', () => {
    expect(() => unpacked(25)).toThrow(MalformedPacketError);
    expect(() => unpacked(31)).toThrow(MalformedPacketError);
  });
});

test('the highest zstd level of a full frame is read', () => {
  const big = Buffer.alloc(MAX_FRAME_BYTES, 'pattern');
  const { bytes } = encodeCompressed(big, 0, 'zstd', 22);
  expect(unpack('zstd', bytes, 65_536).payload.equals(big)).toBe(true);
});
