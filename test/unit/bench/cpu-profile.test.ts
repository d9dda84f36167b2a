import { describe, expect, it } from 'vitest';
import { type CpuProfile, summarizeProfile } from '../../bench/cpu-profile.ts';

const node = (id: number, functionName: string, url = '', lineNumber = 0) => ({
  id,
  callFrame: { functionName, url, lineNumber },
});

/** One sample each 100 µs from 1000 on. */
const PROFILE: CpuProfile = {
  nodes: [
    node(1, '(idle)'),
    node(2, 'route', 'file:///repo/src/routing/route.ts', 9),
    node(3, 'writeBuffer'),
    // The same function, reached by another way.
    node(4, 'route', 'file:///repo/src/routing/route.ts', 9),
  ],
  startTime: 1000,
  samples: [2, 1, 2, 3, 4],
  timeDeltas: [0, 100, 100, 100, 100],
};

describe('a CPU profile', () => {
  const { functions, folders, busyUs, idleUs } = summarizeProfile(
    PROFILE,
    { fromUs: 1050, toUs: 2000 },
    '/repo/',
  );

  it('is added up by function, longest first, whoever called it', () => {
    expect(functions).toEqual([
      { name: 'route', place: 'src/routing/route.ts:10', us: 200 },
      { name: 'writeBuffer', place: '', us: 100 },
    ]);
  });

  it('is added up by folder', () => {
    expect(folders).toEqual([
      ['src/routing', 200],
      ['native', 100],
    ]);
  });

  it('counts only the time asked for, and idleness apart', () => {
    expect({ busyUs, idleUs }).toEqual({ busyUs: 300, idleUs: 100 });
  });
});
