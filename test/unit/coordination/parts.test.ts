import { describe, expect, test } from 'vitest';
import { Challenges } from '../../../src/coordination/challenges.ts';
import { FreshAnswer } from '../../../src/coordination/fresh-answer.ts';
import { Membership, termsOf } from '../../../src/coordination/membership.ts';
import { MemoryCoordination } from '../../../src/coordination/memory-coordination.ts';
import { Outbox, RESTART } from '../../../src/coordination/outbox.ts';
import { parsePosition } from '../../../src/gtid/position.ts';
import { aServer, aSnapshot } from '../../support/snapshots.ts';
import { QUIET, UUID } from './world.ts';

const at = (monotonicMs: number, wallMs = monotonicMs) => ({ monotonicMs, wallMs });

describe('the word of another', () => {
  test('holds for a lease from the challenge on, however late the answer', () => {
    const challenges = new Challenges('me', 1000);
    const challenge = challenges.issue(at(0));
    expect(challenges.holds(challenge, at(999))).toBe(true);
    expect(challenges.holds(challenge, at(1000))).toBe(false);
  });

  test('does not outlast a suspension that the monotonic clock has slept through', () => {
    const challenges = new Challenges('me', 1000);
    const challenge = challenges.issue(at(0, 5000));
    expect(challenges.holds(challenge, at(10, 65_000))).toBe(false);
  });

  test('is worth nothing as an answer to somebody else, or to nothing', () => {
    const challenges = new Challenges('me', 1000);
    challenges.issue(at(0));
    expect(challenges.holds('other.1', at(1))).toBe(false);
    expect(challenges.holds('', at(1))).toBe(false);
  });
});

describe('a membership', () => {
  test('begins with the word that a process before may have given', () => {
    expect(new Membership('i', 1000, 50).promisedUntilMs).toBe(1150);
  });

  test('is promised from the moment that it is asked for', () => {
    const membership = new Membership('i', 1000, 0);
    const id = membership.enter('terms', 5000);
    expect(membership.promisedUntilMs).toBe(6100);
    expect(membership.join).toBeNull();
    expect(membership.entered(id)).toBe(true);
    expect(membership.join).toBe(id);
    expect(termsOf(id)).toBe('terms');
  });

  test('that was given up while it was asked for does not begin', () => {
    const membership = new Membership('i', 1000, 0);
    const id = membership.enter('terms', 0);
    membership.leave();
    expect(membership.entered(id)).toBe(false);
    expect(membership.enter('terms', 1)).not.toBe(id);
  });

  /** When it may begin again, after each of the releases. */
  function againAfter(...releasesMs: readonly number[]): number[] {
    const membership = new Membership('i', 1000, 0);
    return releasesMs.map((releaseMs) => {
      membership.coolDown(releaseMs);
      let waitMs = 0;
      while (membership.isCoolingDown(releaseMs + waitMs)) waitMs += 100;
      return waitMs;
    });
  }

  test('begins again a lease after writes had to wait, where that is rare', () => {
    expect(againAfter(0, 2000)).toEqual([1000, 1000]);
    expect(againAfter(...Array.from({ length: 20 }, (_, at) => at * 10_000))).toEqual(
      Array.from({ length: 20 }, () => 1000),
    );
  });

  test('begins again later where writes had to wait often, but never after more than ten leases', () => {
    expect(againAfter(0, 2000, 4000)).toEqual([1000, 1000, 6000]);
    const membership = new Membership('i', 1000, 0);
    const releases: number[] = [];
    for (let nowMs = 0; nowMs <= 600_000; nowMs += 100) {
      if (membership.isCoolingDown(nowMs)) continue;
      membership.coolDown(nowMs);
      releases.push(nowMs);
    }
    const gaps = releases.slice(1).map((nowMs, at) => nowMs - (releases[at] ?? 0));
    expect(Math.max(...gaps)).toBe(10_000);
    expect(releases.length).toBe(63);
  });
});

describe('writes that wait', () => {
  test('go out together while one publication is under way', () => {
    const outbox = new Outbox();
    void outbox.add('a:1', 0);
    expect(outbox.take()).toEqual(['a:1']);
    void outbox.add('a:2', 1);
    void outbox.add('a:3', 2);
    expect(outbox.take()).toBeNull();
    outbox.published();
    expect(outbox.take()).toEqual(['a:2,a:3']);
    outbox.failed();
    expect(outbox.take()).toEqual(['a:2,a:3']);
  });

  test('resolve when they are published or released, and not before', async () => {
    const outbox = new Outbox();
    const ended: string[] = [];
    const first = outbox.add('a:1', 0).then(() => ended.push('first'));
    outbox.take();
    const second = outbox.add('a:2', 0).then(() => ended.push('second'));
    outbox.published();
    await first;
    expect(ended).toEqual(['first']);
    outbox.release();
    await second;
    expect(outbox.isEmpty).toBe(true);
  });

  test('are a call to begin anew where the GTID is unknown or longer than one', () => {
    const outbox = new Outbox();
    void outbox.add('a:1', 0);
    void outbox.add(null, 0);
    void outbox.add(`a:${'1:'.repeat(1000)}3`, 0);
    expect(outbox.take()).toEqual(['a:1', RESTART]);
  });

  test('are few entries, or one call to begin anew, however many they are', () => {
    const outbox = new Outbox();
    for (let number = 0; number < 4096; number += 1) void outbox.add(`a:${number}`, 0);
    expect(outbox.take()).toHaveLength(64);
    outbox.published();
    for (let number = 0; number < 4097; number += 1) void outbox.add(`a:${number}`, 0);
    expect(outbox.take()).toEqual([RESTART]);
  });
});

describe('a fresh answer', () => {
  test('is never one to a question that was asked before', async () => {
    const open: PromiseWithResolvers<number>[] = [];
    const fresh = new FreshAnswer(() => {
      const question = Promise.withResolvers<number>();
      open.push(question);
      return question.promise;
    });
    const first = fresh.get();
    const second = fresh.get();
    const third = fresh.get();
    expect(open).toHaveLength(1);
    open[0]?.resolve(1);
    expect(await first).toBe(1);
    await Promise.resolve();
    open[1]?.resolve(2);
    expect(await Promise.all([second, third])).toEqual([2, 2]);
    expect(open).toHaveLength(2);
  });

  test('comes although the question before has failed', async () => {
    let asked = 0;
    const fresh = new FreshAnswer(() => {
      asked += 1;
      return asked === 1 ? Promise.reject(new Error('lost')) : Promise.resolve(asked);
    });
    const first = fresh.get();
    const second = fresh.get();
    await expect(first).rejects.toThrow('lost');
    expect(await second).toBe(2);
    expect(await fresh.get()).toBe(3);
  });
});

describe('one proxy alone', () => {
  function alone() {
    const clock = { nowMs: 0 };
    const coordination = new MemoryCoordination({
      nowMs: () => clock.nowMs,
      metrics: QUIET.metrics,
    });
    const probe = (numbers: string, positionAtMs: number, epoch = 1): void => {
      const position = parsePosition('mysql', `${UUID}:${numbers}`);
      const primary = aServer({ role: 'primary', position, positionAtMs });
      coordination.observe(aSnapshot({ epoch, servers: [primary], primary }));
    };
    const text = (): string => {
      const newest = coordination.newest();
      return newest.t === 'position' ? newest.position.text : newest.why;
    };
    return { clock, coordination, probe, text };
  }

  test('vouches for nothing until the primary was asked after its start', () => {
    const { clock, probe, text } = alone();
    expect(text()).toBe('no-base');
    clock.nowMs = 20;
    probe('1-5', 10);
    expect(text()).toBe(`${UUID}:1-5`);
  });

  test('sees at once what it has acknowledged, and no write waits', () => {
    const { clock, coordination, probe, text } = alone();
    clock.nowMs = 20;
    probe('1-5', 10);
    text();
    expect(coordination.acknowledged(`${UUID}:6`)).toBeNull();
    expect(text()).toBe(`${UUID}:1-6`);
  });

  test('a write that came while nobody asked is in the answer of the probe after it', () => {
    const { clock, coordination, probe, text } = alone();
    clock.nowMs = 20;
    probe('1-5', 10);
    clock.nowMs = 30;
    coordination.acknowledged(`${UUID}:6`);
    expect(text()).toBe('no-base');
    probe('1-5', 29);
    expect(text()).toBe('no-base');
    probe('1-6', 31);
    expect(text()).toBe(`${UUID}:1-6`);
  });

  test.each([null, 'not a GTID'])(
    'a write of GTID %s needs another answer of the primary',
    (gtid) => {
      const { clock, coordination, probe, text } = alone();
      clock.nowMs = 20;
      probe('1-5', 10);
      text();
      coordination.acknowledged(gtid);
      expect(text()).toBe('no-base');
      probe('1-6', 21);
      expect(text()).toBe(`${UUID}:1-6`);
    },
  );

  test('after a failover asks nobody to wait for what is lost', () => {
    const { clock, coordination, probe, text } = alone();
    clock.nowMs = 20;
    probe('1-5', 10);
    text();
    coordination.acknowledged(`${UUID}:6`);
    probe('1-4', 20, 2);
    expect(text()).toBe('no-base');
    probe('1-4', 21, 2);
    expect(text()).toBe(`${UUID}:1-4`);
  });
});
