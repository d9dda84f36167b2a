import { beforeEach, describe, expect, test } from 'vitest';
import type { BackendConnection } from '../../../src/pool/backend-connection.ts';
import { Command } from '../../../src/session/command.ts';
import { Exchange, type ExchangeOwner } from '../../../src/session/exchange.ts';
import { Traffic } from '../../../src/telemetry/plain-counters.ts';
import { CAP, without } from '../../../src/wire/capability.ts';
import { COM } from '../../../src/wire/command.ts';
import { decodeErr, encodeErr } from '../../../src/wire/packets/err.ts';
import { REPLY } from '../../../src/wire/reply-kinds.ts';
import { fakeBackend } from '../../support/fake-backend.ts';
import { FakeStream } from '../../support/fake-stream.ts';
import { NEW_CAPS, REPLY_SAMPLES } from '../../support/replies.ts';

class Owner implements ExchangeOwner {
  readonly events: string[] = [];
  keepsErrors = false;
  onSessionState(): void {
    this.events.push('state');
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
      expect(exchange.sendMore(Buffer.from('part'))).toBe(true);
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
    expect(exchange.sendMore(Buffer.from('part'))).toBe(false);
    stream.drain();
    expect(owner.events).toEqual(['drain']);
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
