import { beforeEach, describe, expect, test } from 'vitest';
import type { BackendConnection, BackendUser } from '../../../src/pool/backend-connection.ts';
import { IdleConnections } from '../../../src/pool/idle-connections.ts';
import type { StateProfile } from '../../../src/pool/state-profile.ts';
import { anAccount, aProfile, fakeBackend } from '../../support/fake-backend.ts';

const NONE = aProfile();
const SHOP = aProfile({ schema: 'shop' });
const OTHER = aProfile({ schema: 'other' });
const account = anAccount();
const keeper = { asksAfterwards: false, giveUp: () => null };

let idle: IdleConnections;
beforeEach(() => {
  idle = new IdleConnections();
});

function put(nowMs: number, profile: StateProfile | null = NONE, of = account): BackendConnection {
  const { connection } = fakeBackend({ account: of });
  connection.profile = profile;
  idle.put(connection, nowMs);
  return connection;
}

function keep(nowMs: number): BackendConnection {
  const { connection } = fakeBackend({ account });
  connection.keeper = keeper;
  idle.put(connection, nowMs);
  return connection;
}

describe('a free connection', () => {
  test('is the one used last, so that the others grow old', () => {
    const [first, second] = [put(1), put(2)];
    expect(idle.take(account, NONE)).toBe(second);
    expect(idle.take(account, NONE)).toBe(first);
    expect(idle.take(account, NONE)).toBeNull();
  });

  test('in the very state comes before one that was used later', () => {
    const fitting = put(1, SHOP);
    const later = put(2, OTHER);
    expect(idle.take(account, SHOP)).toBe(fitting);
    expect([...idle]).toEqual([later]);
  });

  test('in another state will do where none is in the very one', () => {
    put(1, OTHER);
    const later = put(2, NONE);
    expect(idle.take(account, SHOP)).toBe(later);
  });

  test('with a schema is none for a session without: no command takes it away', () => {
    const wrong = put(1, SHOP);
    expect(idle.take(account, NONE)).toBeNull();
    expect(wrong.idle).toBe(true);
  });

  test('whose state nobody knows is not lent', () => {
    put(1, null);
    expect(idle.take(account, SHOP)).toBeNull();
  });

  test('is its account’s alone', () => {
    const other = anAccount('other');
    const theirs = put(1, NONE, other);
    expect(idle.take(account, NONE)).toBeNull();
    expect(idle.take(other, NONE)).toBe(theirs);
  });

  test('says that it is idle while it is, since when, and hears nothing of its last user', () => {
    const { connection, stream } = fakeBackend({ account });
    const heard: string[] = [];
    const user: BackendUser = {
      onBackendBytes: () => heard.push('bytes'),
      onBackendDrain: () => heard.push('drain'),
      onBackendClose: () => heard.push('close'),
    };
    connection.setUser(user);
    idle.put(connection, 5);
    expect([connection.idle, connection.idleSinceMs]).toEqual([true, 5]);
    stream.drain();
    expect(idle.take(account, NONE)).toBe(connection);
    expect([connection.idle, heard]).toEqual([false, []]);
  });
});

describe('a kept connection', () => {
  test('is not lent, however well it fits', () => {
    const kept = keep(1);
    expect(idle.take(account, NONE)).toBeNull();
    expect([idle.size, [...idle.kept]]).toEqual([1, [kept]]);
  });

  test('is found longest kept first, where it suits', () => {
    const [first, second] = [keep(1), keep(2)];
    expect(idle.findKept(() => true)).toBe(first);
    expect(idle.findKept((connection) => connection === second)).toBe(second);
    expect(idle.findKept(() => false)).toBeNull();
  });

  test('put back is kept for the shortest', () => {
    const [first, second] = [keep(1), keep(2)];
    idle.remove(first);
    idle.put(first, 3);
    expect([...idle.kept]).toEqual([second, first]);
  });
});

describe('all that are idle', () => {
  test('are counted and listed, whatever for', () => {
    const connections = [put(1), put(2, NONE, anAccount('other')), keep(3)];
    expect(idle.size).toBe(3);
    expect(new Set(idle)).toEqual(new Set(connections));
  });

  test('the one unused for longest is found over all accounts, the kept left out', () => {
    keep(1);
    const oldest = put(2, NONE, anAccount('other'));
    put(3);
    expect(idle.oldestFree()).toBe(oldest);
    idle.remove(oldest);
    expect(idle.oldestFree()?.idleSinceMs).toBe(3);
  });

  test('those of an account are listed least recently used first', () => {
    const [first, second] = [put(1), put(2)];
    put(3, NONE, anAccount('other'));
    expect(idle.freeOf(account)).toEqual([first, second]);
    expect(idle.freeOf(anAccount('stranger'))).toEqual([]);
  });

  test('none is the oldest of none', () => {
    expect([idle.oldestFree(), idle.size]).toEqual([null, 0]);
  });

  test('one that is taken out is not found again, in the middle of others either', () => {
    const [first, second, third] = [put(1), put(2), put(3)];
    idle.remove(second);
    idle.remove(second);
    expect(second.idle).toBe(false);
    expect([idle.take(account, NONE), idle.take(account, NONE)]).toEqual([third, first]);
    const kept = keep(4);
    idle.remove(kept);
    expect([idle.size, idle.findKept(() => true)]).toEqual([0, null]);
  });
});
