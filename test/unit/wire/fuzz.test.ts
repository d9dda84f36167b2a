import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import {
  CompressedDecoder,
  type CompressionAlgorithm,
  encodeCompressed,
} from '../../../src/wire/compressed-frame.ts';
import { Framer, type Packet } from '../../../src/wire/framer.ts';
import { MalformedPacketError } from '../../../src/wire/malformed.ts';
import { isSslRequest } from '../../../src/wire/packets/ssl-request.ts';
import { frame } from '../../../src/wire/writer.ts';
import { COMMAND_SAMPLES, LOGIN_SAMPLES, type WireSample } from '../../support/wire-samples.ts';

/** Cases of each property; together they are counted against `MIN_CASES` at the end. */
const RUNS = {
  framerStreams: 10_000,
  framerGarbage: 20_000,
  loginDecoder: 5_000,
  commandDecoder: 2_000,
  compressed: 3_000,
} as const;

/** Framer and login packets alone must come to this many. */
const MIN_FRAMER_AND_LOGIN_CASES = 70_000;

/** Printed by fast-check with a failure; fixed, so that a failure can be repeated. */
const SEED = 20_261_120;

let framerAndLoginCases = 0;
afterAll(() => {
  expect(framerAndLoginCases).toBeGreaterThanOrEqual(MIN_FRAMER_AND_LOGIN_CASES);
});

/** Runs and gives back what came of it: malformed is the only error that a peer may cause. */
function outcome(run: () => unknown): 'read' | 'malformed' {
  try {
    run();
    return 'read';
  } catch (error) {
    if (error instanceof MalformedPacketError) return 'malformed';
    throw error;
  }
}

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

/** Lengths at which a stream is cut into chunks, used over and over. */
const chunkLengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });

function chunks(stream: Buffer, lengths: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0, index = 0; at < stream.length; index += 1) {
    const length = lengths[index % lengths.length] ?? 1;
    parts.push(stream.subarray(at, at + length));
    at += length;
  }
  return parts;
}

function drain(framer: Framer, into: Packet[]): void {
  for (let packet = framer.next(); packet !== null; packet = framer.next()) into.push(packet);
}

describe('framer', () => {
  test(`gives out what was framed, however it is cut (${RUNS.framerStreams} cases)`, () => {
    fc.assert(
      fc.property(fc.array(bytes(60), { maxLength: 6 }), chunkLengths, (payloads, lengths) => {
        framerAndLoginCases += 1;
        const stream = Buffer.concat(payloads.map((payload, seq) => frame(payload, seq)));
        const framer = new Framer(60);
        const packets: Packet[] = [];
        for (const chunk of chunks(stream, lengths)) {
          framer.push(chunk);
          drain(framer, packets);
        }
        expect(packets.map((packet) => packet.payload.toString('hex'))).toEqual(
          payloads.map((payload) => payload.toString('hex')),
        );
        expect(framer.bufferedBytes).toBe(0);
      }),
      { numRuns: RUNS.framerStreams, seed: SEED },
    );
  });

  test(`takes garbage without holding more than its bound (${RUNS.framerGarbage} cases)`, () => {
    const maxBytes = 48;
    const aheadBytes = 16;
    // Small second and third length bytes now and then, so that packets get through too.
    const garbage = fc.array(
      fc.oneof(
        bytes(24),
        fc.tuple(fc.nat(60), fc.nat(255)).map(([length, seq]) => Buffer.from([length, 0, 0, seq])),
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(garbage, chunkLengths, fc.boolean(), (parts, lengths, lazy) => {
        framerAndLoginCases += 1;
        const framer = new Framer(maxBytes, aheadBytes);
        const packets: Packet[] = [];
        outcome(() => {
          for (const chunk of chunks(Buffer.concat(parts), lengths)) {
            framer.push(chunk);
            expect(framer.bufferedBytes).toBeLessThanOrEqual(maxBytes + aheadBytes);
            if (!lazy) drain(framer, packets);
          }
          drain(framer, packets);
        });
        expect(packets.every((packet) => packet.payload.length <= maxBytes)).toBe(true);
      }),
      { numRuns: RUNS.framerGarbage, seed: SEED },
    );
  });
});

/** A well-formed payload that was damaged: bytes changed, cut out, put in, cut off. */
function damaged(payload: Buffer): fc.Arbitrary<Buffer> {
  const edit = fc.record({
    at: fc.nat(payload.length),
    kind: fc.constantFrom('set', 'remove', 'insert', 'cut'),
    byte: fc.oneof(fc.constantFrom(0, 1, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff), fc.nat(255)),
    count: fc.integer({ min: 1, max: 9 }),
  });
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => {
    let out = Buffer.from(payload);
    for (const { at, kind, byte, count } of edits) {
      const head = out.subarray(0, at);
      if (kind === 'set') out = Buffer.concat([head, Buffer.from([byte]), out.subarray(at + 1)]);
      if (kind === 'remove') out = Buffer.concat([head, out.subarray(at + count)]);
      if (kind === 'insert')
        out = Buffer.concat([head, Buffer.alloc(count, byte), out.subarray(at)]);
      if (kind === 'cut') out = Buffer.from(head);
    }
    return out;
  });
}

function fuzzDecoder({ payload, decode }: WireSample, runs: number, counted: () => void): void {
  const seen = { read: 0, malformed: 0 };
  fc.assert(
    fc.property(
      fc.oneof({ weight: 1, arbitrary: bytes(200) }, { weight: 3, arbitrary: damaged(payload) }),
      (input) => {
        counted();
        seen[outcome(() => decode(input))] += 1;
      },
    ),
    { numRuns: runs, seed: SEED },
  );
  // Both ends must occur, or the inputs did not reach what they are for.
  expect(Math.min(seen.read, seen.malformed)).toBeGreaterThan(0);
}

describe(`decoders of login packets (${RUNS.loginDecoder} cases each)`, () => {
  test.each(LOGIN_SAMPLES)('$name: is read or malformed, nothing else', (sample) => {
    fuzzDecoder(sample, RUNS.loginDecoder, () => {
      framerAndLoginCases += 1;
    });
  });

  test('the first packet of a client: SSL request or not, nothing else', () => {
    fc.assert(
      fc.property(bytes(40), (input) => {
        framerAndLoginCases += 1;
        expect(isSslRequest(input) && input.length !== 32).toBe(false);
      }),
      { numRuns: RUNS.loginDecoder, seed: SEED },
    );
  });
});

describe(`decoders of command packets (${RUNS.commandDecoder} cases each)`, () => {
  test.each(COMMAND_SAMPLES)('$name: is read or malformed, nothing else', (sample) => {
    fuzzDecoder(sample, RUNS.commandDecoder, () => undefined);
  });
});

describe.each<CompressionAlgorithm>(['zlib', 'zstd'])(
  'compressed protocol with %s',
  (algorithm) => {
    test(`gives back what was packed, however it is cut (${RUNS.compressed} cases)`, () => {
      const pieces = fc.array(
        fc
          .tuple(bytes(30), fc.integer({ min: 1, max: 9 }))
          .map(([part, times]) => Buffer.concat(Array.from({ length: times }, () => part))),
        { maxLength: 4 },
      );
      fc.assert(
        fc.property(pieces, chunkLengths, (payloads, lengths) => {
          const stream = payloads.map(
            (part, seq) => encodeCompressed(part, seq, algorithm, 3).bytes,
          );
          const decoder = new CompressedDecoder(algorithm);
          const back: Buffer[] = [];
          for (const chunk of chunks(Buffer.concat(stream), lengths)) {
            decoder.push(chunk);
            for (let piece = decoder.next(); piece !== null; piece = decoder.next()) {
              back.push(piece.payload);
            }
          }
          expect(Buffer.concat(back).equals(Buffer.concat(payloads))).toBe(true);
        }),
        { numRuns: RUNS.compressed, seed: SEED },
      );
    });

    test(`reads a damaged frame or calls it malformed (${RUNS.compressed} cases)`, () => {
      const good = encodeCompressed(Buffer.alloc(400, 'abc'), 0, algorithm, 3).bytes;
      fc.assert(
        fc.property(damaged(good), (input) => {
          const decoder = new CompressedDecoder(algorithm);
          outcome(() => {
            decoder.push(input);
            for (let piece = decoder.next(); piece !== null; piece = decoder.next()) {
              expect(piece.payload.length).toBeLessThan(2 ** 24);
            }
          });
        }),
        { numRuns: RUNS.compressed, seed: SEED },
      );
    });
  },
);
