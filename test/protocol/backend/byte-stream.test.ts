import { once } from 'node:events';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type ByteSink, type ByteStream, SocketStream } from '../../../src/net/byte-stream.ts';
import { dial } from '../../../src/net/dial.ts';
import { until, within } from '../../support/until.ts';

/** A server on a free port and the sockets that it accepted. */
async function aServer(): Promise<{ port: number; accepted: () => Promise<Socket> }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    accepted: () => until('a connection', () => sockets.at(-1)),
  };
}

class Sink implements ByteSink {
  bytes = 0;
  text = '';
  drains = 0;
  readonly closed: (Error | null)[] = [];
  onBytes(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.text.length < 1000) this.text += chunk.toString();
  }
  onDrain(): void {
    this.drains += 1;
  }
  onClose(error: Error | null): void {
    this.closed.push(error);
  }
}

function watched(stream: ByteStream): Sink {
  const sink = new Sink();
  stream.setSink(sink);
  onTestFinished(() => stream.destroy());
  return sink;
}

/** Bytes that tell their place. */
function pattern(length: number, from: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += 1) bytes[at] = (from + at) % 251;
  return bytes;
}

describe.each([
  { how: 'by its handle', hasBinding: true },
  { how: 'through Node’s streams', hasBinding: false },
])('a connection made by dial that reads and writes $how', ({ hasBinding }) => {
  const binding: unknown = Reflect.get(process, 'binding');
  let dialled = dial;
  beforeAll(async () => {
    if (hasBinding) return;
    Reflect.set(process, 'binding', undefined);
    vi.resetModules();
    dialled = (await import('../../../src/net/dial.ts')).dial;
  });
  afterAll(() => {
    Reflect.set(process, 'binding', binding);
    vi.resetModules();
  });

  const made = async () => {
    const { port, accepted } = await aServer();
    const stream = await dialled({ host: '127.0.0.1', port, deadlineMs: 1_000 });
    return { stream, sink: watched(stream), peer: await accepted() };
  };

  test('keeps the socket’s own writes for where there is no other way', async () => {
    const write = vi.spyOn(Socket.prototype, 'write');
    onTestFinished(() => write.mockRestore());
    const { stream, peer } = await made();
    stream.write(Buffer.from('you'));
    expect(String((await once(peer, 'data'))[0])).toBe('you');
    expect(write).toHaveBeenCalledTimes(hasBinding ? 0 : 1);
  });

  test('is not handed what was read by the socket where there is another way', async () => {
    const looks = vi.spyOn(Socket.prototype, 'destroyed', 'get');
    onTestFinished(() => looks.mockRestore());
    const { sink, peer } = await made();
    peer.write('hello');
    const before = looks.mock.calls.length;
    await until('it arrived', () => sink.text === 'hello');
    // Node looks whether the socket still is one, each time.
    const seen = looks.mock.calls.length - before;
    expect(seen > 0).toBe(!hasBinding);
  });

  test('sends all of it in order, however slowly its peer takes it', async () => {
    const { stream, sink, peer } = await made();
    let received = 0;
    let wrong = 0;
    peer.on('data', (chunk: Buffer) => {
      if (!chunk.equals(pattern(chunk.length, received))) wrong += 1;
      received += chunk.length;
      peer.pause();
      setImmediate(() => peer.resume());
    });
    let sent = 0;
    for (let round = 0; round < 400; round += 1) {
      const length = round % 7 === 0 ? 300_000 : 1 + ((round * 37) % 900);
      const before = sink.drains;
      const goesOn = stream.write(pattern(length, sent));
      sent += length;
      if (goesOn) continue;
      await until('it drained', () => sink.drains > before);
      expect(sink.drains).toBe(before + 1);
      expect(stream.pendingBytes).toBe(0);
    }
    await until('all arrived', () => received === sent);
    expect(wrong).toBe(0);
    expect(stream.pendingBytes).toBe(0);
  });

  test('is told to go on once, when all is sent, whatever was written meanwhile', async () => {
    const { stream, peer } = await made();
    const pending: number[] = [];
    stream.setSink({
      onBytes: () => undefined,
      onDrain: () => pending.push(stream.pendingBytes),
      onClose: () => undefined,
    });
    peer.pause();
    while (stream.write(Buffer.alloc(1_000_000)));
    for (let more = 0; more < 5; more += 1) stream.write(Buffer.alloc(3_000_000));
    peer.resume();
    await until('all is sent', () => stream.pendingBytes === 0);
    expect(pending).toEqual([0]);
  });

  test('tells of a peer that is gone once, whatever is still written', async () => {
    const { stream, sink, peer } = await made();
    stream.pause();
    peer.pause();
    while (stream.write(Buffer.alloc(1_000_000)));
    peer.resetAndDestroy();
    await until('the end was told', () => {
      stream.write(Buffer.alloc(10));
      return sink.closed.length > 0;
    });
    expect(sink.closed[0]).toMatchObject({ code: expect.stringMatching(/^(EPIPE|ECONNRESET)$/) });
    stream.write(Buffer.alloc(10));
    await new Promise(setImmediate);
    expect(sink.closed).toHaveLength(1);
    expect(sink.drains).toBe(0);
  });

  test('that was destroyed takes no more, and says nothing of it', async () => {
    const { stream, sink, peer } = await made();
    stream.write(Buffer.from('last'));
    expect(String((await once(peer, 'data'))[0])).toBe('last');
    stream.destroy();
    expect(stream.write(Buffer.from('late'))).toBe(false);
    await until('the end was told', () => sink.closed.length > 0);
    expect(stream.write(Buffer.from('later'))).toBe(false);
    await new Promise(setImmediate);
    expect([sink.closed, sink.drains]).toEqual([[null], 0]);
  });

  test('carries bytes both ways', async () => {
    const { stream, sink, peer } = await made();
    peer.write('hello');
    await until('it arrived', () => sink.text === 'hello');
    stream.write(Buffer.from('you'));
    expect(String((await once(peer, 'data'))[0])).toBe('you');
  });

  test('two at a time do not mix up what they read', async () => {
    const [one, two] = [await made(), await made()];
    for (let round = 0; round < 50; round += 1) {
      one.peer.write('1');
      two.peer.write('2');
    }
    await until('all arrived', () => one.sink.bytes === 50 && two.sink.bytes === 50);
    expect([one.sink.text, two.sink.text]).toEqual(['1'.repeat(50), '2'.repeat(50)]);
  });

  test('that is paused takes no more than the system’s buffers hold, until it resumes', async () => {
    const { stream, sink, peer } = await made();
    stream.pause();
    const sent = 40_000_000;
    peer.write(Buffer.alloc(sent));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(sink.bytes).toBeLessThan(200_000);
    stream.resume();
    await until('all arrived', () => sink.bytes === sent);
  });

  test('tells when its peer is slow, and when it is not any more', async () => {
    const { stream, sink, peer } = await made();
    peer.pause();
    let writes = 0;
    while (stream.write(Buffer.alloc(1_000_000))) writes += 1;
    expect(writes).toBeLessThan(50);
    expect(stream.pendingBytes).toBeGreaterThan(0);
    peer.resume();
    await until('it drained', () => sink.drains === 1);
  });

  test.each(['end', 'destroy'] as const)('hears once of its peer’s %s', async (how) => {
    const { stream, sink, peer } = await made();
    if (how === 'end') peer.end('bye');
    else peer.resetAndDestroy();
    await until('the end was told', () => sink.closed.length > 0);
    if (how === 'end') expect([sink.text, sink.closed]).toEqual(['bye', [null]]);
    else expect(sink.closed[0]?.message).toMatch(/ECONNRESET/);
    expect(stream.destroyed).toBe(true);
    expect(sink.closed).toHaveLength(1);
  });

  test('that ends sends its last words first, even to a peer that goes on talking', async () => {
    const { stream, sink, peer } = await made();
    stream.pause();
    stream.write(Buffer.from('last words'));
    stream.end();
    peer.write(Buffer.alloc(1_000_000));
    expect(String((await once(peer, 'data'))[0])).toBe('last words');
    peer.end();
    await until('it is closed', () => sink.closed.length === 1);
  });

  test('is refused where nobody listens', async () => {
    const { port } = await aServer();
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const free = (closed.address() as AddressInfo).port;
    closed.close();
    await once(closed, 'close');
    expect(port).not.toBe(free);
    await expect(dial({ host: '127.0.0.1', port: free, deadlineMs: 1_000 })).rejects.toMatchObject({
      source: 'backend-connect',
      message: expect.stringMatching(`^Cannot connect to 127.0.0.1:${free}: `),
    });
  });
});

test('what is written before there is a connection comes first', async () => {
  const { port, accepted } = await aServer();
  const socket = connect(port, '127.0.0.1');
  const stream = new SocketStream(socket);
  watched(stream);
  stream.write(Buffer.from('a'));
  await once(socket, 'connect');
  stream.write(Buffer.from('b'));
  const peer = await accepted();
  let text = '';
  peer.on('data', (chunk: Buffer) => {
    text += String(chunk);
  });
  await until('both arrived', () => text.length === 2);
  stream.write(Buffer.from('c'));
  await until('all arrived', () => text === 'abc');
});

test('a peer that never takes our last words is cut off', async () => {
  const { port, accepted } = await aServer();
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const stream = new SocketStream(socket);
  const sink = watched(stream);
  (await accepted()).pause();
  while (stream.write(Buffer.alloc(1_000_000)));
  stream.end();
  await within(
    'it is cut off',
    4_000,
    until('closed', () => sink.closed.length === 1),
  );
});
