import { beforeEach, describe, expect, test } from 'vitest';
import { ClientInput, type CommandHandler } from '../../../../src/session/client/client-input.ts';
import { encodeCompressed } from '../../../../src/wire/compressed-frame.ts';
import { CompressedStream } from '../../../../src/net/compressed-stream.ts';
import { COM } from '../../../../src/wire/command.ts';
import { frame } from '../../../../src/wire/writer.ts';
import { FakeStream } from '../../../support/fake-stream.ts';

const LIMIT = 64;

/** Keeps what it is handed; what it does at a command is the test's to say. */
class Recorder implements CommandHandler {
  readonly commands: Buffer[] = [];
  readonly heads: Buffer[] = [];
  readonly parts: Buffer[] = [];
  readonly raw: Buffer[] = [];
  readonly malformed: string[] = [];
  ends = 0;
  drains = 0;
  closed: (Error | null)[] = [];
  takesParts = true;
  onEach: () => void = () => undefined;

  onCommand(packet: Buffer): void {
    this.commands.push(Buffer.from(packet));
    this.onEach();
  }
  onLongCommand(head: Buffer): void {
    this.heads.push(Buffer.from(head));
    this.onEach();
  }
  onPart(part: Buffer, last: boolean): boolean {
    this.parts.push(Buffer.from(part));
    if (last) this.ends += 1;
    return this.takesParts;
  }
  onRaw(chunk: Buffer): void {
    this.raw.push(chunk);
  }
  onClientDrain(): void {
    this.drains += 1;
  }
  onClientClose(error: Error | null): void {
    this.closed.push(error);
  }
  onClientMalformed(why: string): void {
    this.malformed.push(why);
  }
}

let stream: FakeStream;
let handler: Recorder;
let input: ClientInput;
beforeEach(() => {
  stream = new FakeStream();
  handler = new Recorder();
  input = new ClientInput(stream, handler, LIMIT);
  stream.setSink(input);
});

const query = (text: string) =>
  frame(Buffer.concat([Buffer.from([COM.QUERY]), Buffer.from(text)]), 0);
const COMMANDS = [
  query('SELECT 1'),
  query('x'.repeat(LIMIT - 5)),
  frame(Buffer.from([COM.PING]), 0),
];

describe('commands', () => {
  test.each(Array.from({ length: Buffer.concat(COMMANDS).length }, (_, index) => index + 1))(
    'are handed over one by one in chunks of %d bytes',
    (pieceBytes) => {
      handler.onEach = () => input.ready();
      input.ready();
      stream.receive(Buffer.concat(COMMANDS), pieceBytes);
      expect(handler.commands).toEqual(COMMANDS);
      expect(handler.malformed).toEqual([]);
    },
  );

  test('wait for the answer to the one before, and the client for room', () => {
    input.ready();
    stream.receive(Buffer.concat(COMMANDS));
    expect(handler.commands).toEqual(COMMANDS.slice(0, 1));
    stream.receive(query('SELECT 2'));
    // A socket that is not read does not tell that its client has left.
    expect(stream.paused).toBe(false);
    input.ready();
    expect(handler.commands).toEqual(COMMANDS.slice(0, 2));
    input.ready();
    input.ready();
    expect(handler.commands).toEqual([...COMMANDS, query('SELECT 2')]);
    input.ready();
    expect(handler.commands).toHaveLength(4);
  });

  test('of the length of the limit are held, and one byte more are not', () => {
    input.ready();
    const most = query('y'.repeat(LIMIT - 5));
    expect(most).toHaveLength(LIMIT);
    stream.receive(most);
    expect(handler.commands).toEqual([most]);
    input.ready();
    stream.receive(query('y'.repeat(LIMIT - 4)));
    expect(handler.commands).toHaveLength(1);
    expect(handler.heads).toHaveLength(1);
  });

  test('to prepare are held whatever their length, for they are kept anyway', () => {
    const prepare = frame(
      Buffer.concat([Buffer.from([COM.STMT_PREPARE]), Buffer.alloc(500, 0x20)]),
      0,
    );
    input.ready();
    stream.receive(prepare, 7);
    expect(handler.commands).toEqual([prepare]);
  });

  test('that are handed over do not change when more comes', () => {
    input.ready();
    const both = Buffer.concat([query('SELECT 1'), query('SELECT 2')]);
    stream.receive(both);
    both.fill(0);
    expect(handler.commands).toEqual([query('SELECT 1')]);
  });
});

describe('what breaks the protocol', () => {
  test.each([
    ['an empty command', Buffer.from([0, 0, 0, 0, 1]), /empty command/],
    ['another sequence id than 0', frame(Buffer.from([COM.PING]), 3), /sequence id 3, not 0/],
    ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /sequence id/],
  ])('%s', (_, bytes, why) => {
    input.ready();
    stream.receive(bytes);
    expect(handler.malformed).toEqual([expect.stringMatching(why)]);
    expect(handler.commands).toEqual([]);
  });
});

describe('a client that sends on and on without waiting for answers', () => {
  test('is read up to a bound, then paused, and heard out later', () => {
    const ahead = Buffer.concat(Array.from({ length: 200 }, () => query('SELECT 1')));
    let sent = 0;
    while (!stream.paused && sent < 4_000) {
      stream.receive(ahead);
      sent += 1;
    }
    expect(sent * ahead.length).toBeLessThan((1 << 20) + ahead.length);
    expect([handler.commands, handler.malformed]).toEqual([[], []]);
    handler.onEach = () => input.ready();
    input.ready();
    expect(stream.paused).toBe(false);
    expect(handler.commands).toHaveLength(sent * 200);
  });
});

describe('a command over the limit', () => {
  const text = 'z'.repeat(300);
  const long = query(text);

  test.each([1, 3, 16, 17, 64, 304, 305, 400])(
    'comes as a head and parts that add up to it, in chunks of %d bytes',
    (pieceBytes) => {
      handler.onEach = () => {
        const head = handler.heads.at(-1);
        if (handler.heads.length === 1 && head !== undefined) input.streamLong(head);
      };
      input.ready();
      stream.receive(Buffer.concat([long, query('SELECT 1')]), pieceBytes);
      expect(Buffer.concat([...handler.heads, ...handler.parts])).toEqual(long);
      expect(handler.heads[0]?.length).toBeGreaterThanOrEqual(16);
      expect(handler.ends).toBe(1);
      // Its server may take its time to answer.
      expect([input.isMidway, input.owedSinceMs]).toEqual([false, null]);
      input.ready();
      expect(handler.commands).toEqual([query('SELECT 1')]);
    },
  );

  test('waits until it has a place', () => {
    input.ready();
    stream.receive(long.subarray(0, 100));
    stream.receive(long.subarray(100));
    expect(handler.parts).toEqual([]);
    const [head] = handler.heads;
    if (head !== undefined) input.streamLong(head);
    expect(Buffer.concat([...handler.heads, ...handler.parts])).toEqual(long);
    expect(handler.ends).toBe(1);
  });

  test('waits for a server that is slow to take it', () => {
    handler.takesParts = false;
    input.ready();
    stream.receive(long.subarray(0, 20));
    const [head] = handler.heads;
    if (head !== undefined) input.streamLong(head);
    stream.receive(long.subarray(20, 100));
    expect(stream.paused).toBe(true);
    input.resume();
    expect(stream.paused).toBe(false);
  });

  test('of two frames counts their sequence ids', () => {
    const two = frame(Buffer.concat([Buffer.from([COM.QUERY]), Buffer.alloc(0xff_ffff)]), 0);
    handler.onEach = () => input.streamLong(handler.heads[0] ?? Buffer.alloc(0));
    input.ready();
    stream.receive(two, 1 << 20);
    expect(handler.ends).toBe(1);
    expect(input.seqAfterParts).toBe(2);
  });
});

describe('a file', () => {
  const file = Buffer.concat([frame(Buffer.from('a,b'), 2), frame(Buffer.alloc(0), 3)]);

  test.each([1, 2, 5, 11, 50])('ends with its empty frame, in chunks of %d bytes', (pieceBytes) => {
    input.ready();
    stream.receive(query('LOAD'));
    input.streamFile(2);
    stream.receive(Buffer.concat([file, query('SELECT 1')]), pieceBytes);
    expect(Buffer.concat(handler.parts)).toEqual(file);
    expect(handler.ends).toBe(1);
    expect(input.seqAfterParts).toBe(4);
    expect(handler.commands).toHaveLength(1);
    input.ready();
    expect(handler.commands.at(-1)).toEqual(query('SELECT 1'));
  });
});

describe('in the compressed protocol, where servers do not look at the ids of packets', () => {
  const renumbered = (packets: Buffer, first: number) => {
    const bytes = Buffer.from(packets);
    for (let at = 0, seq = first; at < bytes.length; seq += 1) {
      bytes[at + 3] = seq;
      at += 4 + bytes.readUIntLE(at, 3);
    }
    return bytes;
  };
  beforeEach(() => {
    const compressed = new CompressedStream(stream, 'zlib', 6);
    input = new ClientInput(compressed, handler, LIMIT);
    compressed.setSink(input);
    input.ready();
  });

  /** In compressed frames of `pieceBytes` each. */
  const receive = (bytes: Buffer, pieceBytes: number) => {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      stream.receive(encodeCompressed(bytes.subarray(at, at + pieceBytes), 0, 'zlib', 6).bytes);
    }
  };

  test.each([1, 4, 5, 200])('a command begins with id 0, in chunks of %d bytes', (pieceBytes) => {
    handler.onEach = () => input.ready();
    receive(renumbered(Buffer.concat(COMMANDS), 1), pieceBytes);
    expect(handler.commands).toEqual(COMMANDS);
    expect(handler.malformed).toEqual([]);
  });

  test('the frames of a long one count from 0', () => {
    const long = frame(Buffer.alloc((1 << 24) + 5, COM.QUERY), 0);
    handler.onEach = () => input.streamLong(handler.heads[0] ?? Buffer.alloc(0));
    receive(renumbered(long, 7), 1 << 20);
    const parts = Buffer.concat(handler.parts);
    const sent = Buffer.concat([...handler.heads, parts]);
    expect(sent.length).toBe(long.length);
    expect(sent.equals(long)).toBe(true);
    expect(input.seqAfterParts).toBe(2);
  });

  test.each([1, 5, 50])(
    'a file counts on from its request, in chunks of %d bytes',
    (pieceBytes) => {
      const file = Buffer.concat([frame(Buffer.from('a,b'), 4), frame(Buffer.alloc(0), 5)]);
      receive(query('LOAD'), 100);
      input.streamFile(4);
      receive(renumbered(file, 0), pieceBytes);
      expect(Buffer.concat(handler.parts)).toEqual(file);
      expect(input.seqAfterParts).toBe(6);
    },
  );
});

describe('raw mode and the end', () => {
  test('bytes pass as they come, those that were there first', () => {
    input.ready();
    stream.receive(Buffer.concat([query('dump'), Buffer.from('ahead')]));
    input.streamRaw();
    stream.receive(Buffer.from('then'));
    expect(Buffer.concat(handler.raw).toString()).toBe('aheadthen');
  });

  test('what was read too far is given back once', () => {
    input.ready();
    stream.receive(Buffer.concat([query('change user'), Buffer.from('rest')]));
    expect(input.takeRest().toString()).toBe('rest');
    expect(input.takeRest()).toHaveLength(0);
  });

  test('after close nothing is handed over', () => {
    input.ready();
    input.close();
    stream.receive(query('SELECT 1'));
    input.ready();
    stream.receive(query('SELECT 1'));
    expect(handler.commands).toEqual([]);
  });

  test('drains and the end of the client are told', () => {
    const error = new Error('reset');
    stream.drain();
    stream.close(error);
    expect([handler.drains, handler.closed]).toEqual([1, [error]]);
  });
});

describe('what the client owes', () => {
  const long = Buffer.concat([Buffer.from([200, 0, 0, 0, COM.QUERY]), Buffer.alloc(20, 0x78)]);

  test('is nothing between two commands, nor while one is worked on', () => {
    expect(input.owedSinceMs).toBeNull();
    input.ready();
    expect(input.owedSinceMs).toBeNull();
    stream.receive(query('x'));
    expect(input.owedSinceMs).toBeNull();
  });

  test('is the rest of a command that is gathered', () => {
    const before = performance.now();
    input.ready();
    const packet = query('x'.repeat(LIMIT - 20));
    stream.receive(packet.subarray(0, 10));
    expect(input.owedSinceMs).toBeGreaterThanOrEqual(before);
    stream.receive(packet.subarray(10));
    expect([handler.commands.length, input.owedSinceMs]).toEqual([1, null]);
  });

  test('is the rest of a long command once that has a place, unless the server cannot take it', () => {
    input.ready();
    stream.receive(long);
    expect([handler.heads.length, input.owedSinceMs]).toEqual([1, null]);
    const [head] = handler.heads;
    if (head === undefined) throw new Error('There is no head');
    input.streamLong(head);
    const first = input.owedSinceMs ?? 0;
    expect(first).toBeGreaterThan(0);
    handler.takesParts = false;
    stream.receive(Buffer.alloc(50, 0x78));
    expect(input.owedSinceMs).toBeNull();
    input.resume();
    expect(input.owedSinceMs).toBeGreaterThanOrEqual(first);
    stream.receive(Buffer.alloc(204 - 75, 0x78));
    expect([handler.ends, input.owedSinceMs]).toEqual([1, null]);
  });
});
