import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PacketChannel } from '../../../src/net/packet-channel.ts';
import { frame } from '../../../src/wire/writer.ts';
import { FakeStream } from '../../support/fake-stream.ts';

let stream: FakeStream;
let channel: PacketChannel;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  stream = new FakeStream();
  channel = new PacketChannel(
    stream,
    {
      network: 'client-network',
      protocol: 'client-protocol',
      timeout: 'client-timeout',
      peer: 'client 1.2.3.4',
    },
    { deadlineMs: 500, maxPacketBytes: 100 },
  );
});
afterEach(() => {
  channel.detach();
  vi.useRealTimers();
});

const HELLO = frame(Buffer.from('hello'), 3);

describe('packets that are awaited', () => {
  test.each([1, 4, 9, 18])(
    'come one by one in chunks of %d bytes, and count the sequence',
    async (pieceBytes) => {
      const first = channel.read();
      stream.receive(Buffer.concat([HELLO, frame(Buffer.from('you'), 255)]), pieceBytes);
      expect((await first).payload.toString()).toBe('hello');
      expect(channel.nextSeq).toBe(4);
      expect((await channel.read()).payload.toString()).toBe('you');
      expect(channel.nextSeq).toBe(0);
    },
  );

  test('two readers at a time are a defect that is told', async () => {
    const first = channel.read();
    await expect(channel.read()).rejects.toMatchObject({ source: 'internal' });
    stream.receive(HELLO);
    await first;
  });

  test('bytes read too far are given back', async () => {
    stream.receive(Buffer.concat([HELLO, Buffer.from('rest')]));
    await channel.read();
    expect(channel.detach().toString()).toBe('rest');
  });
});

describe('a peer that fails', () => {
  test('by being late ends every read, now and later, and whoever waits for it', async () => {
    const waiting = expect(channel.read()).rejects.toMatchObject({
      source: 'client-timeout',
      message: 'client 1.2.3.4 did not speak within 500 ms',
    });
    await vi.advanceTimersByTimeAsync(500);
    await waiting;
    await expect(channel.read()).rejects.toMatchObject({ source: 'client-timeout' });
    expect(channel.gone.aborted).toBe(true);
  });

  test('the deadline is of all reads together', async () => {
    for (let left = 4; left > 0; left -= 1) {
      const read = channel.read();
      await vi.advanceTimersByTimeAsync(120);
      stream.receive(HELLO);
      await read;
    }
    const late = expect(channel.read()).rejects.toMatchObject({ source: 'client-timeout' });
    await vi.advanceTimersByTimeAsync(20);
    await late;
  });

  test('by closing, and what it said before is read first', async () => {
    stream.receive(HELLO);
    stream.close(new Error('ECONNRESET'));
    expect((await channel.read()).payload.toString()).toBe('hello');
    await expect(channel.read()).rejects.toMatchObject({
      source: 'client-network',
      message: 'client 1.2.3.4 closed the connection during login: ECONNRESET',
    });
    expect(channel.gone.aborted).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('by announcing more than is allowed is refused before it is buffered', async () => {
    const waiting = expect(channel.read()).rejects.toMatchObject({ source: 'client-protocol' });
    stream.receive(Buffer.from([101, 0, 0, 0]));
    await waiting;
  });

  test('while nobody reads is told of at the next read', async () => {
    stream.receive(Buffer.from([0xff, 0xff, 0xff, 0, 1]));
    await expect(channel.read()).rejects.toMatchObject({ source: 'client-protocol' });
  });
});

test('after a detach there is no deadline any more', () => {
  channel.detach();
  expect(vi.getTimerCount()).toBe(0);
});

test('it goes on over another stream', async () => {
  const secured = new FakeStream();
  channel.moveTo(secured);
  const read = channel.read();
  secured.receive(HELLO);
  await read;
  channel.send(HELLO);
  expect([secured.bytes, stream.bytes.length]).toEqual([HELLO, 0]);
});
