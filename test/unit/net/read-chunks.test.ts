import { expect, test } from 'vitest';
import { copyOfRead, LentChunks } from '../../../src/net/read-chunks.ts';

const read = (fill: number) => copyOfRead(Buffer.alloc(20_000, fill));
/** Whether the next large read goes into the memory of this one. */
const isReused = (chunk: Buffer) => read(9).buffer === chunk.buffer;

test('the memory of a large read is used again as soon as the stream has it', () => {
  const stream = { pendingBytes: 20_000 };
  const lent = new LentChunks();
  const chunk = read(1);
  lent.lend(chunk, stream);
  expect(isReused(chunk)).toBe(false);
  lent.takeBack();
  expect(isReused(chunk)).toBe(false);
  expect(chunk.equals(Buffer.alloc(20_000, 1))).toBe(true);
  stream.pendingBytes = 0;
  lent.takeBack();
  expect(isReused(chunk)).toBe(true);
});

test('it is used again at once where the stream took it at once, and only once', () => {
  const lent = new LentChunks();
  const chunk = read(1);
  lent.lend(chunk, { pendingBytes: 0 });
  expect(isReused(chunk)).toBe(true);
  lent.takeBack();
  expect(isReused(chunk)).toBe(false);
});

test('what one stream still has is not taken back because another has nothing', () => {
  const lent = new LentChunks();
  const [one, two] = [read(1), read(2)];
  lent.lend(one, { pendingBytes: 20_000 });
  lent.lend(two, { pendingBytes: 0 });
  expect(isReused(two)).toBe(true);
  expect(isReused(one)).toBe(false);
});

test('what is forgotten is left to the collector', () => {
  const stream = { pendingBytes: 20_000 };
  const lent = new LentChunks();
  const chunk = read(1);
  lent.lend(chunk, stream);
  lent.forget();
  stream.pendingBytes = 0;
  lent.takeBack();
  expect(isReused(chunk)).toBe(false);
});

test('small reads are parts of what others use, too', () => {
  const small = copyOfRead(Buffer.from('SELECT 1'));
  new LentChunks().lend(small, { pendingBytes: 0 });
  expect(isReused(small)).toBe(false);
  expect(small.toString()).toBe('SELECT 1');
});
