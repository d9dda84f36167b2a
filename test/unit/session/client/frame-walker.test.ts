import { describe, expect, test } from 'vitest';
import { FrameWalker, UNTIL, type Until } from '../../../../src/session/client/frame-walker.ts';
import { frame } from '../../../../src/wire/writer.ts';

const AFTER = Buffer.from('what follows');
const file = Buffer.concat([
  frame(Buffer.from('abc'), 2),
  frame(Buffer.from('x'), 3),
  frame(Buffer.alloc(0), 4),
]);
const command = frame(Buffer.from('a whole command'), 0);

/** Where the run ended over all pieces, -1 if it did not. */
function endOf(
  bytes: Buffer,
  until: Until,
  cuts: readonly number[],
): { end: number; lastSeq: number } {
  const walker = new FrameWalker();
  walker.begin(until);
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    const end = walker.walk(bytes.subarray(from, cut), 0);
    if (end !== -1) return { end: from + end, lastSeq: walker.lastSeq };
    from = cut;
  }
  return { end: -1, lastSeq: walker.lastSeq };
}

describe('a run of frames', () => {
  test.each([
    ['a command', command, UNTIL.SHORT_FRAME, 0],
    ['a file', file, UNTIL.EMPTY_FRAME, 4],
    ['an empty file', frame(Buffer.alloc(0), 2), UNTIL.EMPTY_FRAME, 2],
  ])('%s ends at its last byte, however it is cut', (_, bytes, until, lastSeq) => {
    const stream = Buffer.concat([bytes, AFTER]);
    for (let first = 0; first <= stream.length; first += 1) {
      for (let second = first; second <= stream.length; second += 1) {
        expect(endOf(stream, until, [first, second])).toEqual({ end: bytes.length, lastSeq });
      }
    }
  });

  test('that is cut short has no end yet', () => {
    for (let length = 0; length < file.length; length += 1) {
      expect(endOf(file.subarray(0, length), UNTIL.EMPTY_FRAME, []).end).toBe(-1);
    }
  });

  test('of full frames goes on until a shorter one, an empty one included', () => {
    const long = frame(Buffer.alloc(0xff_ffff), 0);
    expect(endOf(Buffer.concat([long, AFTER]), UNTIL.SHORT_FRAME, [5, 0xff_ffff + 4])).toEqual({
      end: long.length,
      lastSeq: 1,
    });
  });

  test('a file goes on behind short frames, and a second run begins anew', () => {
    const walker = new FrameWalker();
    walker.begin(UNTIL.EMPTY_FRAME);
    expect(walker.walk(file.subarray(0, 7), 0)).toBe(-1);
    walker.begin(UNTIL.SHORT_FRAME);
    expect(walker.walk(command, 0)).toBe(command.length);
  });

  test('begins where it is told', () => {
    const walker = new FrameWalker();
    walker.begin(UNTIL.SHORT_FRAME);
    expect(walker.walk(Buffer.concat([AFTER, command]), AFTER.length)).toBe(
      AFTER.length + command.length,
    );
  });
});
