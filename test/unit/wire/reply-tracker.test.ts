import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { MalformedPacketError } from '../../../src/wire/malformed.ts';
import { REPLY, type ReplyKind, STEP } from '../../../src/wire/reply-kinds.ts';
import { ReplyTracker } from '../../../src/wire/reply-tracker.ts';
import {
  LONG_REPLY_SAMPLES,
  NEW_CAPS,
  OLD_CAPS,
  REPLY_SAMPLES,
  type ReplySample,
  resultSet,
} from '../../support/replies.ts';

/** What a follower of a reply saw. */
interface Followed {
  readonly sent: Buffer;
  readonly ended: boolean;
  readonly askedForFile: boolean;
  readonly states: number;
  readonly ends: number;
  /** Bytes behind the reply's end. */
  readonly left: number;
}

/** Follows a reply that comes in these chunks, as the proxy does. */
function follow(
  tracker: ReplyTracker,
  chunks: readonly Buffer[],
  answerToFile?: readonly Buffer[],
): Followed {
  const sent: Buffer[] = [];
  let states = 0;
  let ends = 0;
  let askedForFile = false;
  const queue = [...chunks];
  for (let chunk = queue.shift(); chunk !== undefined; chunk = queue.shift()) {
    let from = 0;
    for (;;) {
      const step = tracker.advance(chunk, from);
      sent.push(chunk.subarray(from, tracker.forwardTo));
      from = tracker.position;
      if (step === STEP.HELD) {
        sent.push(tracker.held);
        if (tracker.heldHasState) states += 1;
        if (tracker.heldEndsResult) ends += 1;
        continue;
      }
      if (step === STEP.FILE) {
        askedForFile = true;
        tracker.fileSent();
        queue.push(...(answerToFile ?? []));
      }
      if (step === STEP.DONE) {
        const left = chunk.length - from + queue.reduce((sum, { length }) => sum + length, 0);
        return { sent: Buffer.concat(sent), ended: true, askedForFile, states, ends, left };
      }
      break;
    }
  }
  return { sent: Buffer.concat(sent), ended: false, askedForFile, states, ends, left: 0 };
}

function begin(sample: { kind: ReplyKind; caps: number }): ReplyTracker {
  const tracker = new ReplyTracker();
  tracker.begin(sample.kind, sample.caps, true);
  return tracker;
}

function split(bytes: Buffer, ...at: readonly number[]): Buffer[] {
  const ends = [...at, bytes.length];
  return ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
}

function expectFollowed(sample: ReplySample, chunks: readonly Buffer[]): void {
  const tracker = begin(sample);
  const after = sample.afterFile;
  const followed = follow(tracker, chunks, after === undefined ? [] : [after]);
  const whole = after === undefined ? sample.bytes : Buffer.concat([sample.bytes, after]);
  expect(followed.ended).toBe(true);
  expect(followed.left).toBe(0);
  expect(followed.sent.equals(whole)).toBe(true);
  expect(followed.askedForFile).toBe(after !== undefined);
  if (after !== undefined) expect(tracker.fileSeq).toBe(2);
  expect(followed.states).toBe(sample.states ?? 0);
  expect(tracker.facts.errno).toBe(sample.errno ?? 0);
  if (sample.status !== undefined) expect(tracker.facts.status).toBe(sample.status);
  if (sample.statementId !== undefined) {
    expect(tracker.statementId).toBe(sample.statementId);
    expect(tracker.statementIdIn.readUInt32LE(tracker.statementIdAt)).toBe(sample.statementId);
  }
}

describe.each(REPLY_SAMPLES)('$name', (sample) => {
  test('is followed to its end and passes unchanged', () => {
    expectFollowed(sample, [sample.bytes]);
  });

  test('is followed when it is cut in two at every byte', () => {
    for (let at = 0; at <= sample.bytes.length; at += 1) {
      expectFollowed(sample, split(sample.bytes, at));
    }
  });

  test('is followed when all good ends are held back, and each of them is', () => {
    const after = sample.afterFile;
    const whole = after === undefined ? sample.bytes : Buffer.concat([sample.bytes, after]);
    const followed = (chunks: readonly Buffer[]) => {
      const tracker = new ReplyTracker();
      tracker.holdsEnds = true;
      tracker.begin(sample.kind, sample.caps, true);
      const result = follow(tracker, chunks, after === undefined ? [] : [after]);
      expect(result.ended).toBe(true);
      expect(result.sent.equals(whole)).toBe(true);
      return result.ends;
    };
    const ends = followed([sample.bytes]);
    if (sample.kind === REPLY.RESULT && sample.errno === undefined) expect(ends).toBeGreaterThan(0);
    for (let at = 0; at <= sample.bytes.length; at += 1) {
      expect(followed(split(sample.bytes, at))).toBe(ends);
    }
  });

  test('is followed byte by byte', () => {
    expectFollowed(
      sample,
      [...sample.bytes.keys()].map((at) => sample.bytes.subarray(at, at + 1)),
    );
  });

  test('does not end before its last byte', () => {
    for (let length = 0; length < sample.bytes.length; length += 1) {
      const followed = follow(begin(sample), [sample.bytes.subarray(0, length)]);
      expect(followed.ended, `after ${length} bytes`).toBe(false);
    }
  });
});

describe('long rows', () => {
  test.each(LONG_REPLY_SAMPLES)('$name', { timeout: 30_000 }, (sample) => {
    expectFollowed(sample, [sample.bytes]);
    // Around every frame border of the long rows, and in pieces of a socket's size.
    for (const border of [0xffffff, 0x1000003 * 2]) {
      for (const at of [border - 5, border + 30, border + 62, border + 64, border + 66]) {
        expectFollowed(sample, split(sample.bytes, at, at + 3));
      }
    }
    const pieces = Array.from({ length: Math.ceil(sample.bytes.length / 65_536) }, (_, index) =>
      sample.bytes.subarray(index * 65_536, (index + 1) * 65_536),
    );
    expectFollowed(sample, pieces);
  });
});

describe('where to stop', () => {
  test('bytes behind the reply are left to the caller', () => {
    const reply = resultSet(NEW_CAPS, []);
    const tracker = begin({ kind: REPLY.RESULT, caps: NEW_CAPS });
    const followed = follow(tracker, [Buffer.concat([reply, Buffer.from('more')])]);
    expect(followed).toMatchObject({ ended: true, left: 4 });
    expect(followed.sent.equals(reply)).toBe(true);
  });

  test('session state is not held where nobody wants it', () => {
    const sample = REPLY_SAMPLES.find(({ states }) => states === 1);
    if (sample === undefined) throw new Error('No sample has session state');
    const tracker = new ReplyTracker();
    tracker.begin(sample.kind, sample.caps, false);
    expect(follow(tracker, [sample.bytes])).toMatchObject({ ended: true, states: 0 });
  });
});

describe('what is no reply', () => {
  const cases: readonly [string, ReplyKind, string][] = [
    ['an empty packet', REPLY.RESULT, '000000 01'],
    ['an OK without status', REPLY.RESULT, '030000 01 00 00 00'],
    ['an OK whose number is cut', REPLY.RESULT, '020000 01 00 fc'],
    ['an ERR without a number', REPLY.RESULT, '010000 01 ff'],
    ['a column count of none', REPLY.RESULT, '010000 01 fe'],
    ['a PREPARE answer that is too short', REPLY.PREPARE, '050000 01 00 01000000'],
    ['rows where one OK is due', REPLY.SIMPLE, '010000 01 02'],
    ['an OK longer than any server sends', REPLY.RESULT, 'ffff7f 01 00'],
  ];
  test.each(cases)('%s is malformed', (_name, kind, dump) => {
    const bytes = Buffer.from(dump.replaceAll(' ', ''), 'hex');
    expect(() => follow(begin({ kind, caps: NEW_CAPS }), [bytes])).toThrow(MalformedPacketError);
  });
});

describe('fuzz', () => {
  const RUNS = { garbage: 40_000, damaged: 40_000, cut: 10_000 } as const;
  const SEED = 20_261_120;
  let cases = 0;
  afterAll(() => {
    expect(cases).toBeGreaterThanOrEqual(90_000);
  });

  const kind = fc.constantFrom(...Object.values(REPLY));
  const caps = fc.constantFrom(NEW_CAPS, OLD_CAPS);
  const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 });

  function pieces(bytes: Buffer, pattern: readonly number[]): Buffer[] {
    const parts: Buffer[] = [];
    for (let at = 0, index = 0; at < bytes.length; index += 1) {
      const length = pattern[index % pattern.length] ?? 1;
      parts.push(bytes.subarray(at, at + length));
      at += length;
    }
    return parts;
  }

  /** Ends, wants more, or is malformed; what was let through is a prefix of what came. */
  function survives(tracker: ReplyTracker, bytes: Buffer, pattern: readonly number[]): void {
    cases += 1;
    try {
      const { sent } = follow(tracker, pieces(bytes, pattern));
      expect(sent.equals(bytes.subarray(0, sent.length))).toBe(true);
    } catch (error) {
      if (!(error instanceof MalformedPacketError)) throw error;
    }
  }

  test(`any bytes end, go on or are malformed (${RUNS.garbage} cases)`, () => {
    fc.assert(
      fc.property(
        kind,
        caps,
        fc.uint8Array({ maxLength: 200 }),
        lengths,
        (k, c, bytes, pattern) => {
          survives(begin({ kind: k, caps: c }), Buffer.from(bytes), pattern);
        },
      ),
      { numRuns: RUNS.garbage, seed: SEED },
    );
  });

  test(`a reply with damaged bytes does too (${RUNS.damaged} cases)`, () => {
    const damage = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        fc.constantFrom(...REPLY_SAMPLES),
        damage,
        lengths,
        (sample, changes, pattern) => {
          const bytes = Buffer.from(sample.bytes);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          survives(begin(sample), bytes, pattern);
        },
      ),
      { numRuns: RUNS.damaged, seed: SEED },
    );
  });

  test(`a whole reply is followed however it is cut (${RUNS.cut} cases)`, () => {
    fc.assert(
      fc.property(fc.constantFrom(...REPLY_SAMPLES), lengths, (sample, pattern) => {
        cases += 1;
        expectFollowed(sample, pieces(sample.bytes, pattern));
      }),
      { numRuns: RUNS.cut, seed: SEED },
    );
  });
});
