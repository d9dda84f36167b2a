import { describe, expect, it } from 'vitest';
import { type CampaignOptions, type CampaignReport, runCampaign } from '../consistency/campaign.ts';
import { LEVELS } from '../consistency/history.ts';
import { wordedReport } from '../consistency/report.ts';
import { FAULTS } from '../consistency/schedule.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { FLAVORS } from '../support/flavors.ts';
import { useLab } from '../support/lab.ts';

const SEED = Number(process.env['LAGWISE_CONSISTENCY_SEED'] ?? '1');
const OPERATIONS = Number(process.env['LAGWISE_CONSISTENCY_OPERATIONS'] ?? '3000');
/** Every kind of fault comes once in three rounds, and then the primary changes. */
const ROUNDS = 3;

async function runOn(lab: Lab, options: Partial<CampaignOptions>): Promise<CampaignReport> {
  const report = await runCampaign(lab, {
    level: 'session',
    operations: OPERATIONS,
    minRounds: ROUNDS,
    seed: SEED,
    ...options,
  });
  console.log(wordedReport(report));
  return report;
}

describe.each(FLAVORS)('what clients see of a %s cluster while its servers fail', (flavor) => {
  const shared = useLab({ flavor });

  function run(options: Partial<CampaignOptions>): Promise<CampaignReport> {
    return runOn(shared.lab, options);
  }

  it.each(LEVELS)(
    'level %s keeps its promises, and no acknowledged write is lost',
    async (level) => {
      const { judgement, operations, nemesis } = await run({ level });
      expect(judgement.examples.map(({ text }) => text)).toEqual([]);
      expect(operations).toBeGreaterThanOrEqual(OPERATIONS);
      expect(Object.keys(nemesis.done)).toEqual(expect.arrayContaining([...FAULTS, 'switch']));
    },
  );

  it('levels mixed in one session each keep their own', async () => {
    const { judgement, renewedSessions } = await run({ mixed: true });
    expect(judgement.examples.map(({ text }) => text)).toEqual([]);
    expect(renewedSessions).toBeGreaterThan(0);
  });

  it('finds stale reads where the proxies let any replica serve them', async () => {
    const { judgement } = await run({ level: 'session', breakConsistency: true });
    expect(judgement.counts['read-your-writes']).toBeGreaterThan(0);
    expect(judgement.counts['causal-reads']).toBeGreaterThan(0);
    expect(judgement.counts['lost-write']).toBe(0);
  });

  it('finds that others do not see what was acknowledged, when level eventual is held to global', async () => {
    const { judgement } = await run({ level: 'eventual', judgedAs: 'global' });
    expect(judgement.counts['stale-global']).toBeGreaterThan(0);
    expect(judgement.counts['lost-write']).toBe(0);
  });
});

describe.each(FLAVORS)('what clients see of a %s cluster that loses its primary', (flavor) => {
  const shared = useLab({ flavor, semiSync: true });

  it('is as promised, and what a replica has confirmed is not lost', async () => {
    const { judgement, nemesis } = await runOn(shared.lab, {
      // A MariaDB primary cannot be asked to show what a replica has shown before it.
      ...(flavor === 'mysql' ? { mixed: true } : { level: 'strong' }),
      switchEvery: 1,
      loseEvery: 1,
    });
    expect(judgement.examples.map(({ text }) => text)).toEqual([]);
    expect(nemesis.done['loss']).toBeGreaterThanOrEqual(ROUNDS - 1);
  });
});
