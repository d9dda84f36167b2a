import { describe, expect, test } from 'vitest';
import { silenceOver } from '../../../../src/session/client/silence.ts';
import type { Flavor } from '../../../../src/topology/snapshot.ts';
import { decodeErr } from '../../../../src/wire/packets/err.ts';
import { HEADER_BYTES } from '../../../../src/wire/writer.ts';

const listen = { idleTimeoutMs: 5_000, stallTimeoutMs: 1_000 };
const NOW = 100_000;

function silent(given: {
  idleMs?: number;
  owedMs?: number;
  waitTimeout?: string;
  flavor?: Flavor;
}) {
  const { idleMs, owedMs, waitTimeout, flavor = 'mysql' } = given;
  const variables = new Map(waitTimeout === undefined ? [] : [['wait_timeout', waitTimeout]]);
  const owedSinceMs = owedMs === undefined ? null : NOW - owedMs;
  const idleSinceMs = idleMs === undefined ? null : NOW - idleMs;
  const session = { flavor, input: { owedSinceMs }, state: { variables } };
  return silenceOver(listen, session, { idleSinceMs, nowMs: NOW });
}

describe('a client is let go', () => {
  test('when it is idle for longer than it may', () => {
    expect(silent({ idleMs: 5_001 })).toMatchObject({ reason: 'idle', error: null, words: null });
    expect(silent({ idleMs: 5_000 })).toBeNull();
  });

  test('when it is idle for longer than its own wait_timeout, in the words of its server', () => {
    const over = silent({ idleMs: 2_001, waitTimeout: '2' });
    expect(over?.reason).toBe('idle');
    expect(decodeErr(over?.words?.subarray(HEADER_BYTES) ?? Buffer.alloc(0)).code).toBe(4031);
    expect(silent({ idleMs: 2_001, waitTimeout: '2', flavor: 'mariadb' })?.words).toBeNull();
    expect(silent({ idleMs: 2_000, waitTimeout: '2' })).toBeNull();
  });

  test('when it stops in the middle of a command', () => {
    const over = silent({ owedMs: 1_001 });
    expect(over).toMatchObject({ reason: 'client-timeout', words: null });
    expect(over?.error?.message).toContain('listen.stallTimeoutMs');
    expect(silent({ owedMs: 1_000 })).toBeNull();
  });
});

describe('a client stays', () => {
  test.each([
    ['while a command is worked on', { waitTimeout: '1' }],
    ['while a command comes in, however long ago the last one was', { idleMs: 9_000, owedMs: 10 }],
    ['with a wait_timeout that is no number', { idleMs: 4_000, waitTimeout: 'x' }],
    ['with a wait_timeout of 0', { idleMs: 4_000, waitTimeout: '0' }],
  ])('%s', (_, given) => {
    expect(silent(given)).toBeNull();
  });
});
