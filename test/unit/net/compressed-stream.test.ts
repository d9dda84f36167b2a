import { describe, expect, test } from 'vitest';
import type { ByteSink } from '../../../src/net/byte-stream.ts';
import { CompressedStream } from '../../../src/net/compressed-stream.ts';
import { encodeCompressed } from '../../../src/wire/compressed-frame.ts';
import { FakeStream } from '../../support/fake-stream.ts';

class Sink implements ByteSink {
  readonly chunks: Buffer[] = [];
  readonly closed: (Error | null)[] = [];
  drains = 0;
  onEach: () => void = () => undefined;
  onBytes(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.onEach();
  }
  onDrain(): void {
    this.drains += 1;
  }
  onClose(error: Error | null): void {
    this.closed.push(error);
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

describe.each(['zlib', 'zstd'] as const)('%s', (algorithm) => {
  function made() {
    const inner = new FakeStream();
    const stream = new CompressedStream(inner, algorithm, 3);
    const sink = new Sink();
    stream.setSink(sink);
    return { inner, stream, sink };
  }
  const packed = (text: string, seq: number) =>
    encodeCompressed(Buffer.from(text), seq, algorithm, 3);
  const LONG = 'a text that shrinks '.repeat(50);

  test('both ways, whatever is cut where', () => {
    const bytes = Buffer.concat([packed(LONG, 0).bytes, packed('short', 1).bytes]);
    for (const pieceBytes of [1, 6, 7, 8, bytes.length]) {
      const { inner, sink } = made();
      inner.receive(bytes, pieceBytes);
      expect(sink.text).toBe(`${LONG}short`);
    }
    const one = made();
    one.stream.write(Buffer.from(LONG));
    expect(one.inner.bytes.length).toBeLessThan(LONG.length);
    const two = made();
    two.inner.receive(one.inner.bytes);
    expect(two.sink.text).toBe(LONG);
  });

  test('frames of an answer count on from those of its command', () => {
    const { inner, stream } = made();
    inner.receive(packed('command', 4).bytes);
    stream.write(Buffer.from('one'));
    stream.write(Buffer.from('two'));
    inner.receive(packed('command', 0).bytes);
    stream.write(Buffer.from('three'));
    expect(inner.written.map((frame) => frame[3])).toEqual([5, 6, 1]);
  });

  test('while it is paused nothing is delivered, and afterwards all of it, in order', () => {
    const { inner, stream, sink } = made();
    stream.pause();
    inner.receive(Buffer.concat([packed('one ', 0).bytes, packed('two', 1).bytes]));
    expect(sink.chunks).toEqual([]);
    expect(inner.paused).toBe(true);
    stream.resume();
    expect(sink.text).toBe('one two');
    expect(inner.paused).toBe(false);
  });

  test('a receiver that pauses between two pieces gets the second one later', () => {
    const { inner, stream, sink } = made();
    sink.onEach = () => stream.pause();
    inner.receive(Buffer.concat([packed('one ', 0).bytes, packed('two', 1).bytes]));
    expect(sink.text).toBe('one ');
    stream.resume();
    expect(sink.text).toBe('one two');
    expect(inner.paused).toBe(true);
  });

  test('garbage ends the stream, and the receiver hears of it once', () => {
    const { inner, sink } = made();
    inner.receive(Buffer.from([4, 0, 0, 0, 100, 0, 0, 1, 2, 3, 4]));
    expect(inner.destroyed).toBe(true);
    inner.close();
    expect(sink.closed).toHaveLength(1);
    expect(sink.closed[0]).toBeInstanceOf(Error);
  });

  test('the rest is the stream below', () => {
    const { inner, stream, sink } = made();
    inner.isFull = true;
    expect(stream.write(Buffer.from('x'))).toBe(false);
    inner.drain();
    stream.end();
    inner.close();
    expect([sink.drains, sink.closed, inner.ended, stream.destroyed]).toEqual([
      1,
      [null],
      true,
      true,
    ]);
  });
});
