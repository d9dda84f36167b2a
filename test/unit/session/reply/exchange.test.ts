import { copyOfRead } from '../../../../src/net/read-chunks.ts';
import { beforeEach, describe, expect, test } from 'vitest';
import type { BackendConnection } from '../../../../src/pool/backend-connection.ts';
import { Command } from '../../../../src/session/command/command.ts';
import { Exchange, type ExchangeOwner } from '../../../../src/session/reply/exchange.ts';
import { Traffic } from '../../../../src/telemetry/plain-counters.ts';
import { CAP, without } from '../../../../src/wire/capability.ts';
import { COM } from '../../../../src/wire/command.ts';
import { decodeErr, encodeErr } from '../../../../src/wire/packets/err.ts';
import { encodeOk } from '../../../../src/wire/packets/ok.ts';
import { encodeSessionState } from '../../../../src/wire/packets/session-state.ts';
import { REPLY } from '../../../../src/wire/reply-kinds.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { fakeBackend } from '../../../support/fake-backend.ts';
import { FakeStream } from '../../../support/fake-stream.ts';
import { NEW_CAPS, REPLY_SAMPLES } from '../../../support/replies.ts';

class Owner implements ExchangeOwner {
  readonly events: string[] = [];
  keepsErrors = false;
  onSessionState(): void {
    this.events.push('state');
  }
  gate: Promise<void> | null = null;
  beforeOk(): Promise<void> | null {
    return this.gate;
  }
  onErrorReply(): boolean {
    this.events.push('error');
    return this.keepsErrors;
  }
  onFileRequest(): void {
    this.events.push('file');
  }
  onReplyEnd(_connection: BackendConnection, dropped: boolean): void {
    this.events.push(dropped ? 'dropped' : 'end');
  }
  onExchangeLost(_connection: BackendConnection, why: string): void {
    this.events.push(`lost: ${why}`);
  }
  onPrepared(_connection: BackendConnection, statementId: number): void {
    this.events.push(`prepared as ${statementId}`);
  }
  onRestoreRefused(_connection: BackendConnection, error: Buffer): void {
    this.events.push(`refused: ${decodeErr(error).message}`);
  }
  onIdleLost(): void {
    this.events.push('idle lost');
  }
  onServerDrain(): void {
    this.events.push('drain');
  }
}

let owner: Owner;
let command: Command;
let client: FakeStream;
let exchange: Exchange;
const packet = Buffer.from([1, 0, 0, 0, COM.PING]);

function make(clientCaps: number): void {
  owner = new Owner();
  command = new Command();
  client = new FakeStream();
  exchange = new Exchange(owner, command, { stream: client, caps: clientCaps }, new Traffic());
}
beforeEach(() => make(NEW_CAPS));

function start(reply: Command['reply'] = REPLY.RESULT, caps = NEW_CAPS) {
  command.begin(COM.QUERY, packet, 0);
  command.reply = reply;
  const backend = fakeBackend({ caps });
  backend.connection.setUser(exchange);
  exchange.start(backend.connection, packet);
  return backend;
}

describe('a reply', () => {
  const plain = REPLY_SAMPLES.filter(
    ({ afterFile, states }) => afterFile === undefined && states === undefined,
  );

  test.each(plain.map((sample) => [sample.name, sample] as const))(
    'reaches the client as it came, cut anywhere: %s',
    (_, sample) => {
      for (const pieceBytes of [1, 2, 3, 7, sample.bytes.length]) {
        make(sample.caps);
        const { stream, connection, load } = start(sample.kind, sample.caps);
        expect(load.inFlight).toBe(1);
        stream.receive(sample.bytes, pieceBytes);
        expect(client.bytes.equals(sample.bytes)).toBe(true);
        expect(owner.events.at(-1)).toBe('end');
        expect(connection.busy).toBe(false);
        expect(load.inFlight).toBe(0);
        expect(exchange.current).toBeNull();
      }
    },
  );

  test('is timed by its first part where it comes in parts, at no cost where it comes at once', () => {
    const sample = plain.find(({ kind, bytes }) => kind === REPLY.RESULT && bytes.length > 20);
    if (sample === undefined) throw new Error('No sample');
    make(sample.caps);
    const { stream } = start(sample.kind, sample.caps);
    stream.receive(sample.bytes, sample.bytes.length);
    expect(command.firstPartAtMs).toBe(-1);
    make(sample.caps);
    const beforeMs = performance.now();
    const { stream: slow } = start(sample.kind, sample.caps);
    slow.receive(sample.bytes.subarray(0, 9), 9);
    const firstMs = command.firstPartAtMs;
    expect(firstMs).toBeGreaterThanOrEqual(beforeMs);
    slow.receive(sample.bytes.subarray(9), 3);
    expect([command.firstPartAtMs, owner.events.at(-1)]).toEqual([firstMs, 'end']);
    expect(command.sentAtMs).toBe(0);
    const { connection } = fakeBackend({ caps: NEW_CAPS });
    exchange.start(connection, packet, 1);
    expect(command.sentAtMs).toBe(-1);
  });

  test('is held back with all behind it while its OK has to wait', async () => {
    const sample = REPLY_SAMPLES.find(({ states }) => states !== undefined);
    if (sample === undefined) throw new Error('No sample');
    for (const pieceBytes of [1, 3, sample.bytes.length]) {
      make(sample.caps);
      const { promise, resolve } = Promise.withResolvers<undefined>();
      owner.gate = promise;
      start(sample.kind, sample.caps).stream.receive(sample.bytes, pieceBytes);
      expect([owner.events.at(-1), client.bytes.length < sample.bytes.length]).toEqual([
        'state',
        true,
      ]);
      owner.gate = null;
      resolve(undefined);
      await promise;
      await Promise.resolve();
      expect(client.bytes.equals(sample.bytes)).toBe(true);
      expect(owner.events.at(-1)).toBe('end');
    }
  });

  test('that was given up while it was held back is not sent any more', async () => {
    const sample = REPLY_SAMPLES.find(({ states }) => states !== undefined);
    if (sample === undefined) throw new Error('No sample');
    make(sample.caps);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    owner.gate = promise;
    start(sample.kind, sample.caps).stream.receive(sample.bytes, sample.bytes.length);
    const before = client.bytes.length;
    exchange.abandon();
    resolve(undefined);
    await promise;
    await Promise.resolve();
    expect([client.bytes.length, owner.events.includes('end')]).toEqual([before, false]);
  });

  test('with session state is shown as it is to who asked, else without it', () => {
    for (const sample of REPLY_SAMPLES.filter(({ states }) => states !== undefined)) {
      for (const pieceBytes of [1, sample.bytes.length]) {
        make(sample.caps);
        start(sample.kind, sample.caps).stream.receive(sample.bytes, pieceBytes);
        expect(client.bytes.equals(sample.bytes)).toBe(true);
        make(without(sample.caps, CAP.SESSION_TRACK));
        start(sample.kind, sample.caps).stream.receive(sample.bytes, pieceBytes);
        expect(client.bytes.length).toBeLessThan(sample.bytes.length);
        expect(client.bytes.includes('time_zone')).toBe(false);
        expect(owner.events).toEqual(['state', 'end']);
      }
    }
  });

  test('that asks for a file goes on behind it', () => {
    for (const sample of REPLY_SAMPLES.filter(({ afterFile }) => afterFile !== undefined)) {
      make(sample.caps);
      const { stream } = start(sample.kind, sample.caps);
      stream.receive(sample.bytes, 1);
      expect(owner.events).toEqual(['file']);
      expect(exchange.sendMore(Buffer.from('part'), false)).toBe(true);
      expect(stream.bytes.toString('latin1')).toContain('part');
      stream.receive(sample.afterFile ?? Buffer.alloc(0), 1);
      expect(owner.events).toEqual(['file', 'end']);
    }
  });

  test('that is an error is kept from the client where the owner wants it', () => {
    const error = encodeErr({ code: 1146, sqlState: '42S02', message: 'No table' }, 1);
    for (const pieceBytes of [1, 5, error.length]) {
      make(NEW_CAPS);
      owner.keepsErrors = true;
      start().stream.receive(error, pieceBytes);
      expect(client.written).toEqual([]);
      expect(owner.events).toEqual(['error', 'dropped']);
      expect(command.answered).toBe(false);
    }
  });
});

describe('back-pressure', () => {
  const sample = REPLY_SAMPLES.find(({ name }) => name === 'result set (DEPRECATE_EOF)');
  const bytes = sample?.bytes ?? Buffer.alloc(0);

  test('a client that takes no more holds its server up, until it drains', () => {
    const { stream } = start();
    client.isFull = true;
    stream.receive(bytes.subarray(0, 40));
    expect(stream.paused).toBe(true);
    exchange.clientDrained();
    expect(stream.paused).toBe(false);
  });

  test('a server that was held up by the end of a reply can answer the next command', () => {
    const { stream, connection } = start();
    client.isFull = true;
    stream.receive(bytes);
    expect(owner.events).toEqual(['end']);
    client.isFull = false;
    exchange.clientDrained();
    command.begin(COM.QUERY, packet, 0);
    command.reply = REPLY.RESULT;
    exchange.start(connection, packet);
    expect(stream.paused).toBe(false);
  });

  test('a server that takes no more holds the client up', () => {
    const { stream } = start();
    stream.isFull = true;
    expect(exchange.sendMore(Buffer.from('part'), false)).toBe(false);
    stream.drain();
    expect(owner.events).toEqual(['drain']);
  });

  test('parts of a long command give their memory back when the server has them', () => {
    const { stream } = start();
    const read = () => copyOfRead(Buffer.alloc(20_000));
    const [part, shared] = [read(), read()];
    stream.pendingBytes = 1;
    exchange.sendMore(part, true);
    exchange.sendMore(shared, false);
    expect(read().buffer).not.toBe(part.buffer);
    stream.pendingBytes = 0;
    stream.drain();
    expect(read().buffer).toBe(part.buffer);
    expect(read().buffer).not.toBe(shared.buffer);
  });

  test('a reply before the server has all of the command leaves the rest to the collector', () => {
    const { stream } = start();
    const part = copyOfRead(Buffer.alloc(20_000));
    stream.pendingBytes = 1;
    exchange.sendMore(part, true);
    stream.receive(bytes);
    expect(owner.events).toEqual(['end']);
    stream.pendingBytes = 0;
    stream.drain();
    expect(copyOfRead(Buffer.alloc(20_000)).buffer).not.toBe(part.buffer);
  });
});

describe('a server that fails', () => {
  test('in the middle of a reply loses the exchange', () => {
    const { stream, load } = start();
    stream.close(new Error('ECONNRESET'));
    expect(owner.events).toEqual(['lost: was lost (ECONNRESET)']);
    expect([load.inFlight, load.connections]).toEqual([0, 0]);
  });

  test('between two commands is an idle loss', () => {
    const { stream } = start(REPLY.SIMPLE);
    stream.receive(Buffer.from([7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]));
    stream.close();
    expect(owner.events).toEqual(['end', 'idle lost']);
  });

  test('by speaking unasked is closed', () => {
    const { stream } = start(REPLY.SIMPLE);
    stream.receive(Buffer.from([7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]));
    stream.receive(Buffer.from([1]));
    expect(owner.events).toEqual(['end', 'idle lost']);
    expect(stream.destroyed).toBe(true);
  });

  test('by sending what is no reply is closed', () => {
    const { stream } = start(REPLY.SIMPLE);
    stream.receive(Buffer.from([1, 0, 0, 1, 0x42]));
    expect(owner.events).toEqual([expect.stringMatching(/^lost: sent a malformed reply/)]);
    expect(stream.destroyed).toBe(true);
  });

  test('and was lost already when a command is sent on it is told of, not waited for', () => {
    const { connection, stream } = fakeBackend();
    connection.setUser(exchange);
    connection.destroy();
    command.begin(COM.QUERY, packet, 0);
    exchange.start(connection, packet);
    expect(stream.written).toEqual([]);
    expect(owner.events).toEqual([expect.stringMatching(/^lost/)]);
  });
});

describe('state that is restored in front of a read', () => {
  const STATE = encodeSessionState([{ t: 'system-variable', name: 'time_zone', value: 'UTC' }]);
  const prefix = Buffer.from('what restores it');
  const samples = REPLY_SAMPLES.filter(
    ({ kind, afterFile, errno }) =>
      kind === REPLY.RESULT && afterFile === undefined && errno === undefined,
  );
  const OK = (caps: number) => encodeOk({ status: STATUS.AUTOCOMMIT }, 1, { caps });
  const OK_WITH_STATE = (caps: number) =>
    encodeOk({ status: STATUS.AUTOCOMMIT, sessionState: STATE }, 1, { caps });
  const REFUSED = encodeErr({ code: 1298, sqlState: 'HY000', message: 'Unknown time zone' }, 1);
  const ALSO = encodeErr({ code: 1049, sqlState: '42000', message: 'Unknown database' }, 1);
  const ERROR = encodeErr({ code: 1146, sqlState: '42S02', message: 'No table' }, 1);

  function startBehind(prefaces: number, caps: number) {
    make(caps);
    command.begin(COM.QUERY, packet, 0);
    command.reply = REPLY.RESULT;
    const backend = fakeBackend({ caps });
    backend.connection.setUser(exchange);
    exchange.start(backend.connection, Buffer.concat([prefix, packet]), prefaces);
    return backend;
  }

  test.each(samples.map((sample) => [sample.name, sample] as const))(
    'has its own replies dropped, and the answer passes, cut anywhere: %s',
    (_, sample) => {
      const bytes = Buffer.concat([OK(sample.caps), OK_WITH_STATE(sample.caps), sample.bytes]);
      for (let pieceBytes = 1; pieceBytes <= bytes.length; pieceBytes += 1) {
        const { stream, connection, load } = startBehind(2, sample.caps);
        stream.receive(bytes, pieceBytes);
        expect(client.bytes.equals(sample.bytes)).toBe(true);
        // What the restoration itself changed is known already; what the answer tells is news.
        const states = owner.events.filter((event) => event === 'state').length;
        expect([states, owner.events.at(-1)]).toEqual([sample.states ?? 0, 'end']);
        expect([connection.busy, load.inFlight, exchange.current]).toEqual([false, 0, null]);
      }
    },
  );

  test('that the server refuses has the answer dropped with it, cut anywhere', () => {
    for (const sample of samples) {
      for (const replies of [
        [REFUSED, OK(sample.caps)],
        [OK_WITH_STATE(sample.caps), REFUSED],
        [REFUSED, ALSO],
      ]) {
        const bytes = Buffer.concat([...replies, sample.bytes]);
        const told = replies[1] === REFUSED || replies[0] === REFUSED ? 'Unknown time zone' : '';
        for (const pieceBytes of [1, 2, 3, 7, 40, bytes.length]) {
          const { stream, connection, load } = startBehind(2, sample.caps);
          stream.receive(bytes, pieceBytes);
          expect(client.written).toEqual([]);
          expect(owner.events).toEqual([`refused: ${told}`]);
          expect(command.answered).toBe(false);
          expect([connection.busy, load.inFlight, exchange.current]).toEqual([false, 0, null]);
        }
      }
    }
  });

  test('that the server refuses may have the command fail too: it is told of once', () => {
    const { stream } = startBehind(1, NEW_CAPS);
    stream.receive(Buffer.concat([REFUSED, ERROR]), 1);
    expect([owner.events, client.written]).toEqual([['refused: Unknown time zone'], []]);
  });

  test('does not keep the command’s own error from its client', () => {
    const { stream } = startBehind(1, NEW_CAPS);
    stream.receive(Buffer.concat([OK(NEW_CAPS), ERROR]), 1);
    expect(owner.events).toEqual(['error', 'end']);
    expect(client.bytes.equals(ERROR)).toBe(true);
  });

  test('is lost with its server, however much of it was answered', () => {
    const { stream, load } = startBehind(2, NEW_CAPS);
    stream.receive(Buffer.concat([OK(NEW_CAPS), REFUSED.subarray(0, 6)]));
    stream.close();
    expect(owner.events).toEqual(['lost: closed the connection']);
    expect(load.inFlight).toBe(0);
  });

  test('leaves nothing for the next command', () => {
    const { stream, connection } = startBehind(1, NEW_CAPS);
    stream.receive(Buffer.concat([REFUSED, ERROR]));
    command.begin(COM.QUERY, packet, 0);
    command.reply = REPLY.RESULT;
    exchange.start(connection, packet);
    stream.receive(OK(NEW_CAPS), 1);
    expect(owner.events).toEqual(['refused: Unknown time zone', 'end']);
    expect(client.bytes.equals(OK(NEW_CAPS))).toBe(true);
  });

  test.each([
    ['sent on', OK(NEW_CAPS)],
    ['dropped', REFUSED],
  ])('with bytes behind an answer that is %s is a breach of the protocol', (_, preface) => {
    const { stream } = startBehind(1, NEW_CAPS);
    stream.receive(Buffer.concat([preface, OK(NEW_CAPS), OK(NEW_CAPS)]));
    expect(owner.events.at(-1)).toMatch(/^lost: sent a malformed reply/);
    expect(stream.destroyed).toBe(true);
  });
});
