import { afterAll, beforeAll } from 'vitest';
import type { Lab } from '../../src/lab/lab.ts';
import { type LabOptions, startLab } from '../../src/lab/start-lab.ts';
import type { Flavor } from '../../src/topology/snapshot.ts';

/** Longer than a first run that fetches the server packages over a slow line. */
const FIRST_START_DEADLINE_MS = 300_000;
const DOWN_DEADLINE_MS = 60_000;

/** A lab for the tests of a file; `lab` may be read inside tests and hooks only. */
export interface LabOfTests {
  readonly lab: Lab;
}

/** The flavor that the run was asked for (`LAGWISE_TEST_FLAVOR`), MySQL unless said. */
export function testFlavor(): Flavor {
  const asked = process.env['LAGWISE_TEST_FLAVOR'] ?? 'mysql';
  if (asked === 'mysql' || asked === 'mariadb') return asked;
  throw new Error(`LAGWISE_TEST_FLAVOR is mysql or mariadb, not ${asked}`);
}

/**
 * Starts a cluster on free ports before the tests of the surrounding file or `describe`, and
 * removes it after them. The flavor is the options' or else that of the run.
 */
export function useLab(options: LabOptions = {}): LabOfTests {
  let started: Lab | null = null;
  beforeAll(async () => {
    started = await startLab({ flavor: testFlavor(), ...options });
  }, FIRST_START_DEADLINE_MS);
  afterAll(async () => {
    await started?.down();
  }, DOWN_DEADLINE_MS);
  return {
    get lab() {
      if (started === null) throw new Error('The lab starts in beforeAll: use it inside a test');
      return started;
    },
  };
}
