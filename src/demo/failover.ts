import type { Lab } from '../lab/lab.ts';
import { chooseCandidate } from './choose-candidate.ts';
import type { Ledger } from './ledger.ts';
import type { ProxyCounts } from './metrics-text.ts';
import type { ProxyProcess } from './proxy-process.ts';
import type { Screen } from './screen.ts';
import { type Evidence, readEvidence } from './server-evidence.ts';
import type { ByServer } from './summary.ts';
import { watchWritable } from './watch-writable.ts';

/** What was noted on the way, because it cannot be found out afterwards. */
export interface FailoverFacts {
  readonly killed: string;
  readonly promoted: string;
  readonly rowsAcknowledgedBeforeKill: number;
  readonly proxyBeforeKill: ByServer<ProxyCounts>;
  /** The killed server's counters, which die with it. */
  readonly evidenceBeforeKill: Evidence;
  /** The promoted server's, from when all that it had seen was as a replica. */
  readonly evidenceBeforePromotion: Evidence;
}

/** Kills the primary and promotes the most advanced replica, while the workload goes on. */
export async function failover(parts: {
  readonly lab: Lab;
  readonly proxy: ProxyProcess;
  readonly ledger: Ledger;
  readonly screen: Screen;
}): Promise<FailoverFacts> {
  const { lab, proxy, ledger, screen } = parts;
  const killed = lab.primary.id;
  const proxyBeforeKill = await proxy.counts();
  const evidenceBeforeKill = await readEvidence(lab, killed);
  screen.say(`Killing the primary ${killed} (SIGKILL)`);
  const rowsAcknowledgedBeforeKill = ledger.count('acknowledged');
  ledger.killed(performance.now());
  await lab.kill(killed);
  const promoted = chooseCandidate(lab.flavor, await lab.status());
  const evidenceBeforePromotion = await readEvidence(lab, promoted);
  screen.say(`Promoting ${promoted}`);
  const watch = await watchWritable(lab, promoted);
  try {
    await lab.promote(promoted);
  } finally {
    ledger.promoted((await watch.end()) ?? performance.now());
  }
  return {
    killed,
    promoted,
    rowsAcknowledgedBeforeKill,
    proxyBeforeKill,
    evidenceBeforeKill,
    evidenceBeforePromotion,
  };
}
