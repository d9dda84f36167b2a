import { describe, expect, test } from 'vitest';
import { MalformedPacketError } from '../../../src/wire/malformed.ts';
import { ALL_SAMPLES } from '../../support/wire-samples.ts';

describe.each(ALL_SAMPLES)('$name', ({ payload, value, decode, validCuts }) => {
  test('reads back what was written', () => {
    expect(decode(payload)).toEqual(value);
  });

  test('reads the same from the middle of a larger buffer', () => {
    const around = Buffer.concat([Buffer.alloc(5, 0xff), payload, Buffer.alloc(5, 0xff)]);
    expect(decode(around.subarray(5, 5 + payload.length))).toEqual(value);
  });

  test('cut short at any byte it is refused as malformed', () => {
    const accepted: number[] = [];
    for (let cut = 0; cut < payload.length; cut += 1) {
      // Bytes beyond the cut exist in memory but are not the packet's.
      try {
        decode(payload.subarray(0, cut));
        accepted.push(cut);
      } catch (error) {
        expect(error, `cut at ${cut}`).toBeInstanceOf(MalformedPacketError);
      }
    }
    expect(new Set(accepted)).toEqual(validCuts);
  });
});
