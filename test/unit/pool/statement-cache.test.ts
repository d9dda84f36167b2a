import { beforeEach, describe, expect, test } from 'vitest';
import {
  encodeStatementClose,
  makeRoom,
  StatementBudget,
  StatementShape,
} from '../../../src/pool/statement-cache.ts';
import { aProfile, fakeBackend } from '../../support/fake-backend.ts';
import { commandsIn } from '../../support/fake-pool.ts';
import { COM } from '../../../src/wire/command.ts';

const PROFILE = aProfile();
const shapeOf = (sql: string, profile = PROFILE) =>
  StatementShape.of(Buffer.from(`\u0016${sql}`), profile);

let budget: StatementBudget;
beforeEach(() => {
  budget = new StatementBudget(10);
});

describe('a statement to be prepared', () => {
  test('is one object for all sessions that send it in the same state', () => {
    expect(shapeOf('SELECT ?')).toBe(shapeOf('SELECT ?'));
    expect(shapeOf('SELECT  ?')).not.toBe(shapeOf('SELECT ?'));
    expect(shapeOf('SELECT ?', aProfile({ schema: 'shop' }))).not.toBe(shapeOf('SELECT ?'));
  });

  test('has its own copy of the text', () => {
    const packet = Buffer.from('\u0016SELECT copy');
    const shape = StatementShape.of(packet, PROFILE);
    packet.fill(0);
    expect(shape.packet.toString('latin1')).toBe('\u0016SELECT copy');
  });
});

describe('what a connection has prepared', () => {
  test('is counted for its server, over all connections', () => {
    const one = fakeBackend({ budget }).connection;
    const two = fakeBackend({ budget }).connection;
    one.prepared.add(shapeOf('a'), 1);
    two.prepared.add(shapeOf('a'), 1);
    two.prepared.add(shapeOf('b'), 2);
    expect([budget.open, one.prepared.size, two.prepared.size]).toEqual([3, 1, 2]);
    two.prepared.remove(shapeOf('b'));
    two.prepared.remove(shapeOf('b'));
    expect(budget.open).toBe(2);
  });

  test('is no more when it closes, or was reset', () => {
    const one = fakeBackend({ budget }).connection;
    const two = fakeBackend({ budget }).connection;
    one.prepared.add(shapeOf('a'), 1);
    two.prepared.add(shapeOf('a'), 1);
    one.destroy();
    one.destroy();
    expect(budget.open).toBe(1);
    two.noteReset();
    expect([budget.open, two.prepared.get(shapeOf('a'))]).toEqual([0, undefined]);
  });

  test('prepared once more takes the new id, and tells the old one to be closed', () => {
    const { prepared } = fakeBackend({ budget }).connection;
    expect(prepared.add(shapeOf('a'), 1)).toBe(0);
    const known = prepared.get(shapeOf('a'));
    if (known === undefined) throw new Error('It is not known');
    Object.assign(known, { types: Buffer.from([1]), ranCursor: true });
    expect(prepared.add(shapeOf('a'), 2)).toBe(1);
    expect(prepared.get(shapeOf('a'))).toMatchObject({ id: 2, types: null, ranCursor: false });
    expect(budget.open).toBe(1);
  });
});

describe('room for one more', () => {
  function prepareOn(backend: ReturnType<typeof fakeBackend>, ...names: string[]): void {
    for (const name of names) {
      const id = Number(name.slice(1));
      backend.connection.prepared.add(shapeOf(name), id);
    }
  }
  const closed = ({ stream }: ReturnType<typeof fakeBackend>) =>
    commandsIn(stream.bytes).map((command) => command.replaceAll('\0', '.'));
  const close = (id: number) => `${COM.STMT_CLOSE} ${String.fromCodePoint(id)}...`;

  test('is there below the limit: nothing is closed', () => {
    const one = fakeBackend({ budget });
    prepareOn(one, ...Array.from({ length: 9 }, (_, index) => `s${index + 1}`));
    makeRoom(budget, [one.connection]);
    expect([budget.open, one.stream.written]).toEqual([9, []]);
  });

  test('is made at the limit by closing what was not used for longest, wherever that is', () => {
    const one = fakeBackend({ budget });
    const two = fakeBackend({ budget });
    prepareOn(one, 's1', 's2', 's3', 's4', 's5');
    prepareOn(two, 's6', 's7', 's8', 's9', 's10');
    one.connection.prepared.get(shapeOf('s1'));
    makeRoom(budget, [one.connection, two.connection]);
    expect([closed(one), closed(two), budget.open]).toEqual([[close(2)], [], 9]);
    for (const name of ['s3', 's4', 's5', 's1']) one.connection.prepared.get(shapeOf(name));
    prepareOn(one, 's11');
    makeRoom(budget, [one.connection, two.connection]);
    expect([closed(one), closed(two)]).toEqual([[close(2)], [close(6)]]);
    expect(two.connection.prepared.get(shapeOf('s6'))).toBeUndefined();
  });

  test('is never made of what is held: a cursor or long data of it is open', () => {
    budget.limit = 2;
    const one = fakeBackend({ budget });
    prepareOn(one, 's1', 's2');
    const first = one.connection.prepared.get(shapeOf('s1'));
    const second = one.connection.prepared.get(shapeOf('s2'));
    if (first === undefined || second === undefined) throw new Error('They are not known');
    first.held = true;
    makeRoom(budget, [one.connection]);
    expect(closed(one)).toEqual([close(2)]);
    second.held = true;
    prepareOn(one, 's3');
    const third = one.connection.prepared.get(shapeOf('s3'));
    if (third !== undefined) third.held = true;
    makeRoom(budget, [one.connection]);
    expect([closed(one), budget.open]).toEqual([[close(2)], 2]);
  });

  test('a limit that was lowered is kept to at once', () => {
    const one = fakeBackend({ budget });
    prepareOn(one, ...Array.from({ length: 10 }, (_, index) => `s${index + 1}`));
    budget.limit = 4;
    makeRoom(budget, [one.connection]);
    expect(budget.open).toBe(3);
    expect(one.stream.written).toHaveLength(7);
  });

  test('a share of a large limit is freed at a time: the search is not run for each', () => {
    budget.limit = 1_000;
    const one = fakeBackend({ budget });
    for (let id = 1; id <= 1_000; id += 1) one.connection.prepared.add(shapeOf(`q${id}`), id);
    makeRoom(budget, [one.connection]);
    expect(budget.open).toBe(950);
    expect(one.connection.prepared.get(shapeOf('q50'))).toBeUndefined();
    expect(one.connection.prepared.get(shapeOf('q51'))?.id).toBe(51);
  });
});

test('the packet that closes a statement', () => {
  expect(encodeStatementClose(0xdead_beef).toString('hex')).toBe('0500000019efbeadde');
});
