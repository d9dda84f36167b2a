import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { resetState } from '../../../src/pool/reset.ts';
import { ServerRefusedError } from '../../../src/pool/server-refused-error.ts';
import { StatementShape } from '../../../src/pool/statement-cache.ts';
import { TRACKER_STATEMENTS } from '../../../src/pool/trackers.ts';
import { COM } from '../../../src/wire/command.ts';
import { encodeErr } from '../../../src/wire/packets/err.ts';
import { encodeOk } from '../../../src/wire/packets/ok.ts';
import { STATUS } from '../../../src/wire/status.ts';
import { aProfile, fakeBackend, vars } from '../../support/fake-backend.ts';
import { commandsIn } from '../../support/fake-pool.ts';
import { NEW_CAPS, OLD_CAPS } from '../../support/replies.ts';
import { aServer } from '../../support/snapshots.ts';

const OK = encodeOk({ status: STATUS.AUTOCOMMIT }, 1, { caps: NEW_CAPS });
const ERROR = encodeErr({ code: 1047, sqlState: '08S01', message: 'Unknown command' }, 1);
const TIMEOUT_MS = 500;
const NAMES = 'latin1 COLLATE latin1_swedish_ci';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A connection with all that a reset takes away. */
function used(given: Parameters<typeof fakeBackend>[0] = {}) {
  const profile = aProfile({ variables: vars({ names: NAMES, sql_mode: 'IGNORE_SPACE' }) });
  const backend = fakeBackend({ profile, ...given });
  const { connection } = backend;
  connection.profile = aProfile({ schema: 'shop', variables: vars({ time_zone: '+01:00' }) });
  connection.prepared.add(StatementShape.of(Buffer.from('\u0016SELECT 1'), aProfile()), 1);
  Object.assign(connection, { leftovers: 7, tainted: true, insertIdOf: {} });
  return backend;
}

describe.each([
  ['mysql', NEW_CAPS],
  ['mariadb', OLD_CAPS],
] as const)('a reset on %s', (flavor, caps) => {
  test('is one write, and turns the trackers on again; their warnings stay with nobody', async () => {
    const { connection, stream } = used({ server: aServer({ flavor }), caps });
    const done = resetState(connection, TIMEOUT_MS);
    expect(stream.written).toHaveLength(1);
    expect(commandsIn(stream.bytes)).toEqual([
      `${COM.RESET_CONNECTION} `,
      `${COM.QUERY} ${TRACKER_STATEMENTS[flavor]}`,
      `${COM.INIT_DB} shop`,
      `${COM.QUERY} DO 0`,
    ]);
    stream.receive(Buffer.concat([OK, OK, OK, OK]), 1);
    await done;
    // MySQL goes back to its own character sets and keeps IGNORE_SPACE, MariaDB the other way round.
    const left = flavor === 'mariadb' ? { names: NAMES } : { sql_mode: 'IGNORE_SPACE' };
    expect(connection.profile).toBe(aProfile({ schema: 'shop', variables: vars(left) }));
    expect(connection).toMatchObject({ leftovers: 0, tainted: false, insertIdOf: null });
    expect([connection.prepared.size, connection.busy, connection.isClosed]).toEqual([
      0,
      false,
      false,
    ]);
  });
});

test('chooses no schema where none was chosen', () => {
  const { connection, stream } = used();
  connection.profile = aProfile();
  void resetState(connection, TIMEOUT_MS).catch(() => {});
  expect(commandsIn(stream.bytes).map((text) => Number.parseInt(text, 10))).toEqual([
    COM.RESET_CONNECTION,
    COM.QUERY,
    COM.QUERY,
  ]);
  connection.destroy();
});

test('names a schema that is not ASCII in a character set that has it', async () => {
  const { connection, stream } = used();
  connection.profile = aProfile({ schema: 'café' });
  const done = resetState(connection, TIMEOUT_MS);
  expect(commandsIn(stream.bytes).slice(2, 4)).toEqual([
    `${COM.QUERY} SET NAMES utf8mb4`,
    `${COM.INIT_DB} café`,
  ]);
  stream.receive(Buffer.concat([OK, OK, OK, OK, OK]));
  await done;
  const variables = vars({ names: 'utf8mb4', sql_mode: 'IGNORE_SPACE' });
  expect(connection.profile).toBe(aProfile({ schema: 'café', variables }));
});

test.each([1, 2, 3, 4])('that is refused at its step %d closes the connection', async (step) => {
  const { connection, stream } = used();
  const done = resetState(connection, TIMEOUT_MS);
  const replies = [OK, OK, OK, OK];
  replies[step - 1] = ERROR;
  stream.receive(Buffer.concat(replies));
  await expect(done).rejects.toBeInstanceOf(ServerRefusedError);
  expect(connection.isClosed).toBe(true);
});

test('that is not answered in time closes the connection', async () => {
  const { connection, stream, load } = used();
  const done = resetState(connection, TIMEOUT_MS);
  const failed = expect(done).rejects.toMatchObject({
    source: 'backend-timeout',
    message: 'Server db1 did not answer within 500 ms',
  });
  stream.receive(OK);
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS);
  await failed;
  expect([stream.destroyed, load.inFlight, load.connections]).toEqual([true, 0, 0]);
});

test('in whose middle the server goes away fails', async () => {
  const { connection, stream } = used();
  const done = resetState(connection, TIMEOUT_MS);
  stream.receive(OK);
  stream.close(new Error('ECONNRESET'));
  await expect(done).rejects.toMatchObject({ source: 'backend-network' });
  expect(connection.isClosed).toBe(true);
});
