import { describe, expect, test } from 'vitest';
import { AcknowledgedPosition } from '../../../src/coordination/acknowledged-position.ts';
import { parsePosition } from '../../../src/gtid/position.ts';
import { UUID } from './world.ts';

const mysql = (numbers: string) =>
  parsePosition('mysql', numbers === '' ? '' : `${UUID}:${numbers}`);
const mariadb = (text: string) => parsePosition('mariadb', text);

function based(numbers: string): AcknowledgedPosition {
  const acknowledged = new AcknowledgedPosition(0);
  acknowledged.observe(mysql(numbers), 1, 2);
  return acknowledged;
}

describe('the acknowledged position', () => {
  test('is unknown until the primary was asked after the start', () => {
    const acknowledged = new AcknowledgedPosition(100);
    acknowledged.observe(mysql('1-5'), 100, 101);
    expect(acknowledged.position).toBeNull();
    acknowledged.observe(mysql('1-6'), 101, 102);
    expect(acknowledged.position?.text).toBe(`${UUID}:1-6`);
  });

  test('grows by exactly what was acknowledged: gaps are not filled by guessing', () => {
    const acknowledged = based('1-5');
    acknowledged.add(`${UUID}:9`, 3);
    acknowledged.add(`${UUID}:7,${UUID}:tag:1`, 4);
    expect(acknowledged.position?.text).toBe(`${UUID}:1-5:7:9:tag:1`);
  });

  test('fills gaps from what the primary has executed once there are many', () => {
    const acknowledged = based('1');
    for (let number = 3; number < 200; number += 2) acknowledged.add(`${UUID}:${number}`, 3);
    acknowledged.observe(mysql('1-200'), 4, 5);
    expect(acknowledged.position?.text).toBe(`${UUID}:1-200`);
  });

  test('keeps what is added between a new start and the answer of the primary', () => {
    const acknowledged = based('1-5');
    acknowledged.restart(10);
    expect(acknowledged.position).toBeNull();
    acknowledged.add(`${UUID}:8`, 12);
    acknowledged.observe(mysql('1-7'), 11, 13);
    expect(acknowledged.position?.text).toBe(`${UUID}:1-8`);
  });

  test('is of MariaDB the furthest sequence of each domain', () => {
    const acknowledged = new AcknowledgedPosition(0);
    acknowledged.observe(mariadb('0-1-5,1-1-9'), 1, 2);
    acknowledged.add('0-1-7', 3);
    acknowledged.add('0-1-6', 4);
    expect(acknowledged.position?.text).toBe('0-1-7,1-1-9');
  });

  test('is dropped and counted where the primary turns out to lack some of it', () => {
    const acknowledged = based('1-5');
    acknowledged.add(`${UUID}:6-8`, 3);
    // The checkpoint is of before; the next one has the three that are lost.
    expect(acknowledged.observe(mysql('1-5'), 4, 5)).toBe(0);
    expect(acknowledged.observe(mysql('1-5'), 6, 7)).toBe(0);
    expect(acknowledged.observe(mysql('1-5'), 8, 9)).toBe(3);
    expect(acknowledged.position).toBeNull();
    acknowledged.observe(mysql('1-5'), 10, 11);
    expect(acknowledged.position?.text).toBe(`${UUID}:1-5`);
  });

  test('an answer to a question asked before does not prove a loss', () => {
    const acknowledged = based('1-5');
    acknowledged.observe(mysql('1-5'), 3, 4);
    acknowledged.add(`${UUID}:6`, 5);
    acknowledged.observe(mysql('1-5'), 4.5, 6);
    expect(acknowledged.observe(mysql('1-5'), 5.5, 7)).toBe(0);
    expect(acknowledged.position?.text).toBe(`${UUID}:1-6`);
  });

  test('after a failover begins with the new primary and counts what it lacks', () => {
    const acknowledged = based('1-5');
    acknowledged.add(`${UUID}:6`, 3);
    acknowledged.changeHistory(10);
    // A membership begins with the new primary, too.
    acknowledged.restart(11);
    expect(acknowledged.observe(mysql('1-4'), 12, 13)).toBe(2);
    expect(acknowledged.position?.text).toBe(`${UUID}:1-4`);
  });
});
