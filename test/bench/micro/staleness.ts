import { Bench } from 'tinybench';
import { parseConfig } from '../../../src/config/load.ts';
import { serverId } from '../../../src/lib/ids.ts';
import { Command } from '../../../src/session/command/command.ts';
import { Exchange, type ExchangeOwner } from '../../../src/session/reply/exchange.ts';
import type { ReadSampler } from '../../../src/session/reply/reply-tap.ts';
import { sumRows } from '../../../src/session/staleness/staleness-checksum.ts';
import { createSampler } from '../../../src/session/staleness/staleness-sampler.ts';
import { StalenessTap } from '../../../src/session/staleness/staleness-tap.ts';
import { Traffic } from '../../../src/telemetry/plain-counters.ts';
import { COM } from '../../../src/wire/command.ts';
import { encodeQuery } from '../../../src/wire/packets/query.ts';
import { REPLY } from '../../../src/wire/reply-kinds.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { encodeTextResultset } from '../../../src/wire/text-resultset.ts';
import { fakeBackend, quietTelemetry } from '../../support/fake-backend.ts';
import { FakePool } from '../../support/fake-pool.ts';
import { FakeStream } from '../../support/fake-stream.ts';
import { NEW_CAPS } from '../../support/replies.ts';
import { aServer, aSnapshot, seeded } from '../../support/snapshots.ts';

/**
 * What sampling costs each read, and each sample: `node test/bench/micro/staleness.ts`. The way of
 * one read through an exchange, from sending to the end of the reply, sockets left out.
 */
const ROUNDS = 1000;
const SQL = 'SELECT c FROM sbtest1 WHERE id = 12345';

const nothing = () => undefined;
const owner: ExchangeOwner = {
  onSessionState: nothing,
  beforeOk: () => null,
  onErrorReply: () => false,
  onPrepared: nothing,
  onFileRequest: nothing,
  onReplyEnd: nothing,
  onExchangeLost: nothing,
  onIdleLost: nothing,
  onRestoreRefused: nothing,
  onServerDrain: nothing,
};

class Sink extends FakeStream {
  override write(): boolean {
    return true;
  }
}

function resultOf(rows: number, width: number): Buffer {
  return encodeTextResultset(
    { columns: ['c'], rows: Array.from({ length: rows }, (_, at) => [String(at).padEnd(width)]) },
    { seq: 1, caps: NEW_CAPS, status: STATUS.AUTOCOMMIT },
  );
}

const REPLY_BYTES = resultOf(1, 120);
const packet = encodeQuery(SQL, NEW_CAPS);
const primary = aServer({ id: serverId('db1'), role: 'primary' });
const replica = aServer({ id: serverId('db2') });
const snapshot = aSnapshot({ servers: [primary, replica], primary });
const { connection, stream } = fakeBackend({ server: replica });
stream.write = () => true;
const command = new Command();
const exchange = new Exchange(
  owner,
  command,
  { stream: new Sink(), caps: NEW_CAPS },
  new Traffic(),
);

function samplerOf(stalenessSample: number): ReadSampler | null {
  const config = parseConfig(
    {
      servers: [{ host: 'x' }],
      monitor: { user: 'm', password: 'x' },
      routing: { stalenessSample },
    },
    { env: {} },
  );
  return createSampler({
    config,
    pool: new FakePool().asPool,
    topology: { current: () => snapshot },
    telemetry: quietTelemetry(),
    random: seeded(1),
  });
}

function read(staleness: ReadSampler | null): void {
  command.begin(COM.QUERY, packet, 0);
  command.reply = REPLY.RESULT;
  command.textAt = 5;
  command.reason = 'read';
  exchange.start(connection, packet);
  exchange.tap = staleness === null ? null : staleness.sample(command, connection);
  exchange.onBackendBytes(connection, REPLY_BYTES);
}

function reads(staleness: ReadSampler | null): void {
  for (let round = 0; round < ROUNDS; round += 1) read(staleness);
}

// So rarely that none is drawn here: what every other read pays.
const sampler = samplerOf(1e-12);
const [small, large] = [resultOf(1, 120), resultOf(250, 120)];
const bench = new Bench({ time: 1500, warmupTime: 500 });
bench
  .add('a read, sampling off', () => reads(null))
  .add('a read, sampling on, not drawn', () => reads(sampler))
  .add('a read, sampling off (again)', () => reads(null))
  .add('a copy of a small reply', () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const tap = new StalenessTap(1000);
      tap.take(small);
      tap.end(true);
    }
  })
  .add(`the sum of ${small.length} bytes`, () => {
    for (let round = 0; round < ROUNDS; round += 1) sumRows(small, NEW_CAPS);
  })
  .add(`the sum of ${large.length} bytes`, () => {
    for (let round = 0; round < ROUNDS; round += 1) sumRows(large, NEW_CAPS);
  });
await bench.run();
for (const { name, result } of bench.tasks) {
  if (!('latency' in result)) throw new Error(`${name} did not run`);
  const nanoseconds = (result.latency.p50 * 1e6) / ROUNDS;
  process.stdout.write(`${name.padEnd(36)}${nanoseconds.toFixed(0).padStart(8)} ns\n`);
}
