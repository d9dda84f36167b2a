import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { InsertId } from '../../../../src/session/reply/insert-id.ts';
import type { SessionState } from '../../../../src/session/state/session-state.ts';
import { COM } from '../../../../src/wire/command.ts';
import { encodeErr } from '../../../../src/wire/packets/err.ts';
import { encodeOk } from '../../../../src/wire/packets/ok.ts';
import { STATUS } from '../../../../src/wire/status.ts';
import { encodeTextResultset } from '../../../../src/wire/text-resultset.ts';
import { fakeBackend } from '../../../support/fake-backend.ts';
import { commandsIn } from '../../../support/fake-pool.ts';
import { aSessionState } from '../../../support/fake-session.ts';
import { NEW_CAPS, OLD_CAPS } from '../../../support/replies.ts';

let state: SessionState;
let mine: InsertId;
beforeEach(() => {
  vi.useFakeTimers();
  state = aSessionState();
  mine = new InsertId(state, 500);
});
afterEach(() => {
  vi.useRealTimers();
});

const aResult = (value: string | null, caps = NEW_CAPS) =>
  encodeTextResultset(
    { columns: ['LAST_INSERT_ID()'], rows: [[value]] },
    { seq: 1, caps, status: STATUS.AUTOCOMMIT },
  );

/** Saves from a server that says `bytes`. */
async function save(backend: ReturnType<typeof fakeBackend>, bytes: Buffer): Promise<void> {
  const saving = mine.save(backend.connection);
  backend.stream.receive(bytes, 1);
  backend.stream.receive(encodeOk({}, 1, { caps: backend.connection.caps }));
  await saving;
}

describe('a session’s last insert id', () => {
  test('need not be told to anybody while it is 0 everywhere', () => {
    expect(mine.isNeededOn(fakeBackend().connection, true)).toBe(false);
  });

  test('is where the session inserted last, and is told to every other connection', () => {
    const { connection } = fakeBackend();
    const other = fakeBackend().connection;
    mine.noteSet(connection);
    expect([mine.connection, mine.isOn(connection)]).toEqual([connection, true]);
    expect([mine.isNeededOn(connection, true), mine.isNeededOn(other, true)]).toEqual([
      false,
      true,
    ]);
    mine.noteSet(other);
    expect([mine.isOn(connection), mine.isOn(other)]).toEqual([false, true]);
    expect([mine.isNeededOn(connection, true), mine.isNeededOn(other, true)]).toEqual([
      true,
      false,
    ]);
  });

  test('is 0 where another session inserted, so that must be said', async () => {
    const { connection } = fakeBackend();
    new InsertId(aSessionState(), 500).noteSet(connection);
    expect(mine.isNeededOn(connection, true)).toBe(true);
    expect(await mine.restoration(true)).toBe('SET last_insert_id=0');
  });

  test('is not another session’s, though both inserted on one connection', () => {
    const { connection } = fakeBackend();
    const theirs = new InsertId(aSessionState(), 500);
    mine.noteSet(connection);
    theirs.noteSet(connection);
    expect([mine.isOn(connection), theirs.isOn(connection)]).toEqual([false, true]);
    mine.forget();
    expect(theirs.isOn(connection)).toBe(true);
  });

  test('of a session that starts anew is still not the next one’s', () => {
    const { connection } = fakeBackend();
    mine.noteSet(connection);
    mine.forget();
    expect(mine.connection).toBeNull();
    const next = new InsertId(aSessionState(), 500);
    expect(next.isNeededOn(connection, true)).toBe(true);
  });

  test('is 0 on a connection that was reset', () => {
    const { connection } = fakeBackend();
    mine.noteSet(connection);
    connection.noteReset();
    expect(new InsertId(aSessionState(), 500).isNeededOn(connection, true)).toBe(false);
  });
});

describe('an insert id whose connection was lost', () => {
  beforeEach(() => {
    const { connection } = fakeBackend();
    mine.noteSet(connection);
    connection.destroy();
  });
  const other = () => fakeBackend().connection;

  test('is missed by who asks, once', async () => {
    expect(mine.isNeededOn(other(), true)).toBe(true);
    await expect(mine.restoration(true)).rejects.toThrow(/LAST_INSERT_ID\(\) was closed/);
    expect(mine.isNeededOn(other(), true)).toBe(false);
  });

  test('is not missed by who may only set it, and still by who asks behind that', async () => {
    expect(await mine.restoration(false)).toBe('SET last_insert_id=0');
    const told = other();
    mine.noteTold(told);
    expect([mine.isNeededOn(told, false), mine.isNeededOn(told, true)]).toEqual([false, true]);
    await expect(mine.restoration(true)).rejects.toThrow(/LAST_INSERT_ID/);
  });

  test.each([
    ['inserts again', () => mine.noteSet(other())],
    ['starts anew', () => mine.forget()],
  ])('is of no interest once the session %s', async (_, next) => {
    await mine.restoration(false);
    next();
    expect(await mine.restoration(true)).toBe('SET last_insert_id=0');
  });
});

describe('saving it', () => {
  test.each([
    ['', NEW_CAPS],
    [', with EOF packets', OLD_CAPS],
  ])('reads it, and has it set where it is asked for%s', async (_, caps) => {
    const backend = fakeBackend({ caps });
    const { connection } = backend;
    mine.noteSet(connection);
    await save(backend, aResult('18446744073709551615', caps));
    expect(commandsIn(backend.stream.bytes)).toEqual([
      `${COM.QUERY} SELECT LAST_INSERT_ID()`,
      `${COM.QUERY} DO LAST_INSERT_ID(0)`,
    ]);
    expect(connection.insertIdOf).toBeNull();
    expect(state.savedInsertId).toBe('18446744073709551615');
    expect([mine.connection, mine.isOn(connection)]).toEqual([null, false]);
    expect(mine.isNeededOn(connection, true)).toBe(true);
    expect(await mine.restoration(true)).toBe('SET last_insert_id=18446744073709551615');
  });

  test('is waited for by a statement that asks meanwhile', async () => {
    const backend = fakeBackend();
    mine.noteSet(backend.connection);
    const saving = mine.save(backend.connection);
    const restoration = mine.restoration(true);
    backend.stream.receive(Buffer.concat([aResult('7'), encodeOk({}, 1, { caps: NEW_CAPS })]));
    expect(await restoration).toBe('SET last_insert_id=7');
    await saving;
  });

  test('does not undo an insert that came meanwhile', async () => {
    const backend = fakeBackend();
    const later = fakeBackend().connection;
    mine.noteSet(backend.connection);
    const saving = mine.save(backend.connection);
    mine.noteSet(later);
    backend.stream.receive(Buffer.concat([aResult('7'), encodeOk({}, 1, { caps: NEW_CAPS })]));
    await saving;
    expect([mine.connection, state.savedInsertId]).toEqual([later, null]);
  });

  test('is over with the next insert', async () => {
    const backend = fakeBackend();
    mine.noteSet(backend.connection);
    await save(backend, aResult('7'));
    mine.noteSet(fakeBackend().connection);
    expect(state.savedInsertId).toBeNull();
  });

  test.each([
    ['NULL', aResult(null)],
    ['no number', aResult('7; DROP TABLE t')],
  ])('of %s is refused, and never put into a statement', async (_, bytes) => {
    const backend = fakeBackend();
    mine.noteSet(backend.connection);
    await expect(save(backend, bytes)).rejects.toMatchObject({ source: 'backend-protocol' });
    expect(state.savedInsertId).toBeNull();
  });

  test('that the server refuses fails, it is not taken for 0', async () => {
    const backend = fakeBackend();
    mine.noteSet(backend.connection);
    const error = encodeErr({ code: 1317, sqlState: '70100', message: 'Interrupted' }, 1);
    await expect(save(backend, error)).rejects.toThrow();
    expect(state.savedInsertId).toBeNull();
  });

  test('from a server that does not answer ends in time', async () => {
    const backend = fakeBackend();
    mine.noteSet(backend.connection);
    const failed = expect(mine.save(backend.connection)).rejects.toMatchObject({
      source: 'backend-timeout',
    });
    await vi.advanceTimersByTimeAsync(500);
    await failed;
    expect(backend.connection.isClosed).toBe(true);
  });
});
