import { describe, expect, test } from 'vitest';
import { parsePosition } from '../../../../src/gtid/position.ts';
import { serverId } from '../../../../src/lib/ids.ts';
import { shows } from '../../../../src/routing/visibility.ts';
import { Horizon } from '../../../../src/session/reads/horizon.ts';
import type { ServerView } from '../../../../src/topology/snapshot.ts';
import { aServer, aSnapshot } from '../../../support/snapshots.ts';

const UUID = '11111111-1111-1111-1111-111111111111';
const at = (numbers: string) => parsePosition('mysql', `${UUID}:${numbers}`);
const primary = (given: Partial<ServerView> = {}) =>
  aServer({ id: serverId('db1'), role: 'primary', position: at('1-100'), ...given });
const replica = (given: Partial<ServerView> = {}) =>
  aServer({ id: serverId('db2'), caughtUpToMs: -1, ...given });

/** Whether a replica is known to show what the session must see. */
function seesOn(horizon: Horizon, server: ServerView, others: readonly ServerView[] = []): boolean {
  const first = others.find(({ role }) => role === 'primary') ?? primary({ positionAtMs: -1 });
  const snapshot = aSnapshot({ servers: [server, first, ...others], primary: first });
  return shows(server, horizon.requirements(first), snapshot);
}

describe('a session that has written', () => {
  test('reads where its GTIDs are, or where the primary of a later moment is', () => {
    const horizon = new Horizon();
    horizon.noteWrite(10, `${UUID}:7`, 'mysql');
    horizon.noteWrite(20, `${UUID}:9`, 'mysql');
    expect(seesOn(horizon, replica({ position: at('1-8') }))).toBe(false);
    expect(seesOn(horizon, replica({ position: at('1-7:9') }))).toBe(true);
    expect(seesOn(horizon, replica({ caughtUpToMs: 19 }))).toBe(false);
    expect(seesOn(horizon, replica({ caughtUpToMs: 20 }))).toBe(true);
  });

  test('is not satisfied by its GTIDs alone once a commit told none, until the primary has', () => {
    const horizon = new Horizon();
    horizon.noteWrite(10, `${UUID}:7`, 'mysql');
    horizon.noteWrite(20, null, 'mysql');
    const has = replica({ position: at('1-50') });
    expect(seesOn(horizon, has)).toBe(false);
    horizon.complete(at('1-60'), 19);
    expect(seesOn(horizon, has)).toBe(false);
    horizon.complete(at('1-60'), 20);
    expect(seesOn(horizon, has)).toBe(false);
    expect(seesOn(horizon, replica({ position: at('1-60') }))).toBe(true);
  });

  test('believes a replica that has said so, unless that has lost something since', () => {
    const horizon = new Horizon();
    horizon.noteWrite(10, `${UUID}:7`, 'mysql');
    horizon.confirm(serverId('db2'), 15);
    expect(seesOn(horizon, replica({ position: null }))).toBe(true);
    expect(seesOn(horizon, replica({ position: null, grownSinceMs: 16 }))).toBe(false);
    expect(seesOn(horizon, replica({ id: serverId('db3'), position: null }))).toBe(false);
    horizon.noteWrite(20, `${UUID}:8`, 'mysql');
    expect(seesOn(horizon, replica({ position: null }))).toBe(false);
  });

  test('keeps its set short though others wrote in between', () => {
    const horizon = new Horizon();
    for (let n = 1; n <= 99; n += 2) horizon.noteWrite(n, `${UUID}:${n}`, 'mysql');
    const [requirement] = horizon.requirements(primary({ positionAtMs: 1 }));
    expect(requirement).toMatchObject({ t: 'commits', position: { text: `${UUID}:1-100` } });
  });

  test('drops what a new primary does not have, and says so once', () => {
    const horizon = new Horizon();
    horizon.noteWrite(10, `${UUID}:101`, 'mysql');
    expect(horizon.dropLost(primary({ position: at('1-101') }))).toBe(false);
    expect(horizon.dropLost(primary())).toBe(true);
    expect(horizon.dropLost(primary())).toBe(false);
  });
});

describe('a session that has read', () => {
  const readOn = (id: string, atMs: number) => {
    const horizon = new Horizon();
    horizon.noteRead(serverId(id), atMs);
    return horizon;
  };

  test('goes on where it was, unless that has lost something', () => {
    expect(seesOn(readOn('db2', 10), replica())).toBe(true);
    expect(seesOn(readOn('db2', 10), replica({ grownSinceMs: 11 }))).toBe(false);
  });

  test('is known to see as much on no other replica, also when the one is gone', () => {
    const shown = aServer({ id: serverId('db3') });
    const other = replica({ caughtUpToMs: 10_000 });
    expect(seesOn(readOn('db3', 10), other, [shown])).toBe(false);
    // It may have shown what the primary had not committed by any moment that is known of.
    expect(seesOn(readOn('db3', 10), other, [{ ...shown, role: 'down' }])).toBe(false);
    expect(seesOn(readOn('db3', 10), other, [{ ...shown, grownSinceMs: 50 }])).toBe(false);
  });

  test('leaves the primary for a replica that has its commits of some moments later', () => {
    expect(seesOn(readOn('db1', 10), replica({ caughtUpToMs: 10 }))).toBe(false);
    expect(seesOn(readOn('db1', 10), replica({ caughtUpToMs: 110 }))).toBe(true);
  });

  test('may have seen more than a primary shows, unless that was the last to show it', () => {
    const horizon = readOn('db2', 10);
    expect(horizon.mayOvertake(serverId('db1'))).toBe(true);
    horizon.noteRead(serverId('db1'), 20);
    expect(horizon.mayOvertake(serverId('db1'))).toBe(false);
    horizon.bring(at('1-70'));
    expect(horizon.mayOvertake(serverId('db1'))).toBe(true);
    expect(new Horizon().mayOvertake(serverId('db1'))).toBe(false);
  });

  test('forgets that for another user, and not what was written', () => {
    const horizon = readOn('db3', 10);
    horizon.noteWrite(10, `${UUID}:7`, 'mysql');
    horizon.forgetReads();
    expect(horizon.requirements(null).map(({ t }) => t)).toEqual(['commits']);
  });
});

describe('a token', () => {
  test('counts like own writes, and becomes one when the primary is seen with it', () => {
    const horizon = new Horizon();
    horizon.bring(at('1-70'));
    expect([horizon.hasToken, seesOn(horizon, replica({ caughtUpToMs: 10_000 }))]).toEqual([
      true,
      false,
    ]);
    expect(seesOn(horizon, replica({ position: at('1-70') }))).toBe(true);
    horizon.requirements(primary({ positionAtMs: 500 }));
    expect([horizon.hasToken, seesOn(horizon, replica({ caughtUpToMs: 500 }))]).toEqual([
      false,
      true,
    ]);
  });

  test('is taken back by nothing', () => {
    const horizon = new Horizon();
    horizon.bring(at('1-70'));
    horizon.bring(null);
    expect(horizon.requirements(null)).toEqual([]);
  });

  test('is taken back, too, when the primary was seen with it, and what was written stays', () => {
    const horizon = new Horizon();
    horizon.noteWrite(10, `${UUID}:7`, 'mysql');
    horizon.bring(at('1-70'));
    horizon.requirements(primary({ positionAtMs: 500 }));
    horizon.bring(null);
    expect(horizon.requirements(null)).toMatchObject([
      { byMs: 10, position: { text: `${UUID}:7` } },
    ]);
  });

  test('that comes later is to be seen as well', () => {
    const horizon = new Horizon();
    horizon.bring(at('1-70'));
    horizon.requirements(primary({ positionAtMs: 500 }));
    horizon.bring(at('120'));
    expect(horizon.hasToken).toBe(true);
    expect(seesOn(horizon, replica({ caughtUpToMs: 10_000, position: at('1-100') }))).toBe(false);
    expect(seesOn(horizon, replica({ position: at('1-100:120') }))).toBe(true);
  });

  test('is kept short once the primary has it', () => {
    const horizon = new Horizon();
    for (let n = 1; n <= 99; n += 2) horizon.bring(at(String(n)));
    const [commits] = horizon.requirements(primary({ positionAtMs: 500 }));
    expect(commits).toMatchObject({ position: { text: `${UUID}:1-100` } });
  });
});
