import { describe, expect, test } from 'vitest';
import { runSwallowed } from '../../../src/pool/swallow.ts';
import { REPLY } from '../../../src/wire/reply-kinds.ts';
import { fakeBackend } from '../../support/fake-backend.ts';
import { NEW_CAPS, REPLY_SAMPLES, resultSet } from '../../support/replies.ts';

const TIMEOUT_MS = 1_000;
const PING = Buffer.from([1, 0, 0, 0, 14]);

describe('a reply that no client sees', () => {
  const samples = REPLY_SAMPLES.filter(({ afterFile }) => afterFile === undefined);

  test.each(samples.map((sample) => [sample.name, sample] as const))(
    'is taken whole, cut anywhere: %s',
    async (_, sample) => {
      for (let pieceBytes = 1; pieceBytes <= sample.bytes.length; pieceBytes += 1) {
        const { connection, stream, load } = fakeBackend({ caps: sample.caps });
        const run = runSwallowed(connection, PING, [sample.kind], TIMEOUT_MS);
        expect([connection.busy, load.inFlight]).toEqual([true, 1]);
        stream.receive(sample.bytes, pieceBytes);
        const [told] = await run;
        expect(told?.error?.code).toBe(sample.errno);
        if (sample.statementId !== undefined) expect(told?.statementId).toBe(sample.statementId);
        if (sample.states !== undefined) expect(told?.sessionState).not.toBeNull();
        if (sample.kind === REPLY.RESULT && sample.states === undefined) {
          expect(told?.result.equals(sample.bytes)).toBe(true);
        }
        expect([connection.busy, load.inFlight, connection.isClosed]).toEqual([false, 0, false]);
      }
    },
  );

  test('of several commands is each its own, cut anywhere', async () => {
    const samples_ = REPLY_SAMPLES.filter(({ name }) =>
      ['simple OK with session state (DEPRECATE_EOF)', 'result set (DEPRECATE_EOF)'].includes(name),
    );
    const bytes = Buffer.concat(samples_.map((sample) => sample.bytes));
    for (let pieceBytes = 1; pieceBytes <= bytes.length; pieceBytes += 1) {
      const { connection, stream } = fakeBackend();
      const kinds = samples_.map(({ kind }) => kind);
      const run = runSwallowed(connection, PING, kinds, TIMEOUT_MS);
      stream.receive(bytes, pieceBytes);
      const told = await run;
      expect(told.map(({ sessionState }) => sessionState !== null)).toEqual(
        samples_.map(({ states }) => states !== undefined),
      );
      expect(told.at(-1)?.result.equals(samples_.at(-1)?.bytes ?? PING)).toBe(true);
    }
  });

  test('is not the memory of the chunk, which is used again', async () => {
    const { connection } = fakeBackend();
    const run = runSwallowed(connection, PING, [REPLY.RESULT], TIMEOUT_MS);
    const bytes = resultSet(NEW_CAPS, []);
    const chunk = Buffer.from(bytes);
    connection.onBytes(chunk);
    chunk.fill(0);
    expect((await run)[0]?.result.equals(bytes)).toBe(true);
  });

  test('longer than any answer to the proxy is read to its end and not kept', async () => {
    const { connection, stream } = fakeBackend();
    const run = runSwallowed(connection, PING, [REPLY.RESULT, REPLY.RESULT], TIMEOUT_MS);
    const long = Buffer.alloc(70_000, 0x61);
    const row = Buffer.concat([
      Buffer.from([long.length & 0xff, (long.length >> 8) & 0xff, long.length >> 16, 5]),
      long,
    ]);
    stream.receive(resultSet(NEW_CAPS, [row, row, row, row]), 1_000);
    stream.receive(resultSet(NEW_CAPS, [row]), 1_000);
    const told = await run;
    expect(told.map(({ tooLong, result }) => [tooLong, result.length > 0])).toEqual([
      [true, false],
      [false, true],
    ]);
    expect([connection.busy, connection.isClosed]).toEqual([false, false]);
  });

  test('that is no reply at all is an error, and the server is left', async () => {
    const { connection, stream } = fakeBackend();
    const run = runSwallowed(connection, PING, [REPLY.SIMPLE], TIMEOUT_MS);
    stream.receive(Buffer.from([1, 0, 0, 1, 0x42]));
    await expect(run).rejects.toMatchObject({
      source: 'backend-protocol',
      message: 'Server db1 sent a malformed reply',
    });
    expect(connection.isClosed).toBe(true);
  });
});
