import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { described, run } from '../differential/campaign.ts';
import { regressions } from '../differential/regressions.ts';
import { compare, differenceOf, runScript } from '../differential/run-script.ts';
import type { Script } from '../differential/script.ts';
import { Pair } from '../differential/systems.ts';
import { FLAVORS } from '../support/flavors.ts';
import { direct as withoutProxy } from '../support/proxy.ts';

/** `LAGWISE_DIFF_SCRIPTS=2000` for a real search; this many in the run of all tests. */
const SCRIPTS = numberFrom('LAGWISE_DIFF_SCRIPTS', 150);
/** The same seed gives the same scripts. */
const SEED = numberFrom('LAGWISE_DIFF_SEED', 20_261_120);
/** Two cores carry no more at a time. */
const LANES = 4;
/** Of the clients of a script; what the others do needs no connection of their own. */
const HOLDERS = 2;
const MAX_CLIENTS = 5;

const START_DEADLINE_MS = 300_000;
/** A script takes a tenth of a second where the machine has nothing else to do. */
const SCRIPT_DEADLINE_MS = 1_500;
const SHRINK_DEADLINE_MS = 240_000;

const CONFIG = {
  log: { level: 'warn' },
  // What the wire says is the same with TLS, and slower.
  serverTls: { mode: 'off' },
  // Seldom proofs would send nearly every read that follows a write to the primary.
  monitor: { user: 'lagwise_monitor', password: 'lagwise_monitor', intervalMs: 15 },
  // Fewer connections than clients, so that they change hands; enough for those that keep one.
  pool: { maxPerServer: LANES * (HOLDERS + 2) },
};

describe.skipIf(withoutProxy).each(FLAVORS)('%s directly and through the proxy', (flavor) => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await Pair.start(flavor, CONFIG);
  }, START_DEADLINE_MS);
  afterAll(async () => {
    await pair[Symbol.asyncDispose]();
  }, START_DEADLINE_MS);

  it.each(regressions(flavor))('$name ($id)', async ({ script }) => {
    await using lane = await pair.open();
    const difference = await compare(lane, script, { a: 'dfra', b: 'dfrb' });
    expect(
      difference,
      difference === null ? '' : described({ seed: 0, script, difference, isSteady: true }),
    ).toBe(null);
  });

  it('finds that sql_mode is lost, and shrinks the script to what shows it', async () => {
    const report = await run(pair, {
      flavor,
      scripts: 500,
      seed: SEED,
      lanes: 1,
      holders: HOLDERS,
      maxClients: 1,
      compare: async (lane, script, place) =>
        differenceOf(
          await runScript(lane.direct, script, place),
          await runScript(lane.direct, withoutSqlMode(script), place),
        ),
    });
    const [finding] = report.findings;
    expect(finding?.script.steps.map((step) => ('sql' in step ? step.sql : ''))).toContainEqual(
      expect.stringContaining('sql_mode'),
    );
    expect(finding?.script.steps.length).toBeLessThanOrEqual(4);
  });

  it(
    `${SCRIPTS} random scripts give the same replies`,
    async () => {
      const before = await pair.proxy.served();
      const report = await run(pair, {
        flavor,
        scripts: SCRIPTS,
        seed: SEED,
        lanes: LANES,
        holders: HOLDERS,
        maxClients: MAX_CLIENTS,
      });
      const served = (await pair.proxy.served()).since(before);
      const onReplicas = served.count({ role: 'replica' });
      console.log(
        `${flavor}: ${report.ran} scripts of ${report.steps} steps, seed ${SEED}, ${Math.round(report.tookMs / 1000)} s; ${onReplicas} statements ran on replicas, ${served.count({ role: 'primary' })} on the primary; ${report.refusals} times the proxy refused to guess`,
      );
      expect(report.findings.map(described).join('\n\n')).toBe('');
      expect(report.ran).toBeGreaterThanOrEqual(SCRIPTS);
      // Scripts that never leave the primary would prove nothing of what the proxy does.
      expect(onReplicas).toBeGreaterThan(report.ran);
    },
    SCRIPTS * SCRIPT_DEADLINE_MS + SHRINK_DEADLINE_MS,
  );
});

/** What clients see of a proxy that forgets this setting: it is acknowledged and has no effect. */
function withoutSqlMode(script: Script): Script {
  const steps = script.steps.map((step) =>
    'sql' in step && /^set.*sql_mode/i.test(step.sql) && !step.sql.includes('NO_SUCH')
      ? ({ c: step.c, do: 'query', sql: 'DO 0' } as const)
      : step,
  );
  return { ...script, steps };
}

function numberFrom(name: string, otherwise: number): number {
  const value = process.env[name];
  if (value === undefined || value === '') return otherwise;
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new Error(`${name} is a whole number from 1, not ${value}`);
  }
  return number;
}
