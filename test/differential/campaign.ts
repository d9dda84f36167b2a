import * as fc from 'fast-check';
import { scripts, type ScriptOptions } from './arbitrary.ts';
import { isOnCommonGround } from './common-ground.ts';
import { compare, type Difference } from './run-script.ts';
import { printed, type Script } from './script.ts';
import { withoutNeedless } from './shrink.ts';
import type { Pair } from './systems.ts';

/** How many scripts, and which. */
export interface Campaign extends ScriptOptions {
  readonly scripts: number;
  readonly seed: number;
  /** Scripts that run at a time; each has schemas of its own. */
  readonly lanes: number;
  /** How the two are compared; absent: directly and through the proxy. */
  readonly compare?: typeof compare;
}

/** A script that the two systems do not agree on, as small as could be found. */
export interface Finding {
  readonly seed: number;
  readonly script: Script;
  readonly difference: Difference;
  /** It showed again when the script was repeated. */
  readonly isSteady: boolean;
}

/** What a campaign did. */
export interface CampaignReport {
  readonly ran: number;
  readonly steps: number;
  /** Replies in which the proxy refused to guess; they count as equal. */
  readonly refusals: number;
  readonly tookMs: number;
  readonly findings: readonly Finding[];
}

/** fast-check's own shrinking may take this many runs a lane; the rest is {@link withoutNeedless}. */
const SHRINK_DEADLINE_MS = 45_000;

/** Runs random scripts on both systems. */
export async function run(pair: Pair, campaign: Campaign): Promise<CampaignReport> {
  const begun = performance.now();
  const totals = { ran: 0, steps: 0, refusals: 0 };
  const lanes = Array.from({ length: campaign.lanes }, (_, lane) =>
    runLane(pair, campaign, lane, totals),
  );
  const settled = await Promise.allSettled(lanes);
  const findings: Finding[] = [];
  for (const lane of settled) {
    if (lane.status === 'rejected') throw lane.reason;
    if (lane.value !== null) findings.push(lane.value);
  }
  return { ...totals, tookMs: performance.now() - begun, findings };
}

async function runLane(
  pair: Pair,
  campaign: Campaign,
  number: number,
  totals: { ran: number; steps: number; refusals: number },
): Promise<Finding | null> {
  await using lane = await pair.open();
  const place = { a: `df${number}a`, b: `df${number}b` };
  const seed = campaign.seed + number;
  let failedAtMs = Number.POSITIVE_INFINITY;
  const comparing = campaign.compare ?? compare;
  let broken: unknown = null;
  const seen: Pick<Finding, 'script' | 'difference'>[] = [];
  const agrees = async (script: Script): Promise<boolean> => {
    // Past its time shrinking takes everything for equal, and so ends.
    if (broken !== null || performance.now() > failedAtMs + SHRINK_DEADLINE_MS) return true;
    const difference = await comparing(lane, script, place).catch((error: unknown) => {
      // The harness itself failed: that is no script to shrink.
      broken = error;
      return null;
    });
    if (difference !== null) {
      failedAtMs = Math.min(failedAtMs, performance.now());
      seen.push({ script, difference });
    }
    totals.ran += 1;
    totals.steps += script.steps.length;
    return difference === null;
  };
  const share = Math.ceil(campaign.scripts / campaign.lanes);
  const details = await fc.check(fc.asyncProperty(scripts(campaign), agrees), {
    seed,
    numRuns: share,
  });
  totals.refusals += lane.refusals;
  if (broken !== null) throw broken;
  if (!details.failed) return null;
  if (details.counterexample === null) throw new Error(fc.defaultReportMessage(details) ?? '');
  const [smaller] = details.counterexample;
  failedAtMs = Number.POSITIVE_INFINITY;
  const script = await withoutNeedless(
    smaller,
    async (candidate) => isOnCommonGround(candidate, campaign.flavor) && !(await agrees(candidate)),
  );
  const again = await comparing(lane, script, place);
  if (again !== null) return { seed, script, difference: again, isSteady: true };
  const last = seen.at(-1);
  if (last === undefined) throw new Error('A property failed without a difference');
  return { seed, ...last, isSteady: false };
}

/** A finding for people: the script to be kept, and where the systems part. */
export function described(finding: Finding): string {
  const { script, difference, seed, isSteady } = finding;
  const where = difference.login
    ? `the login of client ${difference.at}`
    : `step ${difference.at}: ${JSON.stringify(script.steps[difference.at])}`;
  return [
    `seed ${seed}; they part at ${where}${isSteady ? '' : ', but not each time'}`,
    'direct:',
    ...difference.direct.map((line) => `  ${line}`),
    'through the proxy:',
    ...difference.proxied.map((line) => `  ${line}`),
    'Keep this in test/differential/regressions/:',
    printed(script),
  ].join('\n');
}
