import type { Balance, WriteGaps } from './ledger.ts';
import type { ProxyCounts } from './metrics-text.ts';
import type { Evidence } from './server-evidence.ts';
import type { Tally } from './session.ts';

/** Figures by server id. */
export type ByServer<T> = Readonly<Record<string, T>>;

/** All that a run has found out, before it is judged. */
export interface DemoFacts {
  readonly flavor: string;
  readonly version: string;
  readonly killed: string;
  readonly promoted: string;
  /** The replicas at the beginning. */
  readonly replicas: readonly string[];
  readonly wallMs: number;
  readonly workloadMs: number;
  readonly balance: Balance;
  readonly gaps: WriteGaps;
  readonly rowsAcknowledgedBeforeKill: number;
  readonly balanceDrift: number;
  readonly tally: Tally;
  readonly proxy: ByServer<ProxyCounts>;
  readonly proxyBeforeKill: ByServer<ProxyCounts>;
  /** What the servers themselves have counted; that of the killed one ends just before its end. */
  readonly evidence: ByServer<Evidence>;
  /** Writes that a server saw while it was a replica, by its own count. */
  readonly writesAsReplica: ByServer<number>;
}

/** The closing summary. These names are what `--json` prints: they do not change lightly. */
export interface DemoSummary extends Balance {
  /** Whether every promise was kept; `failures` says which were not. */
  readonly ok: boolean;
  readonly failures: readonly string[];
  readonly flavor: string;
  readonly version: string;
  readonly killed: string;
  readonly promoted: string;
  readonly wallMs: number;
  readonly workloadMs: number;
  /** The larger of the proxy's count and the servers' own. */
  readonly misroutedWrites: number;
  readonly misroutesByProxy: ByServer<number>;
  readonly writesSeenByReplicas: ByServer<number>;
  /** By the proxy's count, of every class. */
  readonly statementsByServer: ByServer<number>;
  readonly readsByServer: ByServer<number>;
  readonly writesByServer: ByServer<number>;
  /** By the servers' own count. */
  readonly readsCountedByServers: ByServer<number>;
  readonly writesCountedByServers: ByServer<number>;
  /** Of all reads of the run, those that each replica (of the beginning) answered: 0 to 1. */
  readonly readShare: ByServer<number>;
  readonly readShareBeforeKill: ByServer<number>;
  readonly timeWithoutWritesMs: number | null;
  readonly timeWithoutWritesAfterPromotionMs: number | null;
  readonly rowsAcknowledgedAfterPromotion: number;
  /** Sum of all balances against what it was: 0 where every transaction was whole. */
  readonly balanceDrift: number;
  /** By what was being done and what the error means: `write/outcome-unknown`. */
  readonly clientErrors: Readonly<Record<string, number>>;
  readonly staleOwnReads: number;
  readonly wrongAnswers: number;
}

/** Fewer than this on either side of the failover, and the run has proved nothing. */
const LEAST_ROWS = 50;

/** Judges a run. */
export function summarize(facts: DemoFacts): DemoSummary {
  const { balance, gaps, tally, proxy, evidence, rowsAcknowledgedBeforeKill } = facts;
  const misroutesByProxy = mapServers(proxy, ({ misroutes }) => misroutes);
  const misroutedWrites = Math.max(sum(misroutesByProxy), sum(facts.writesAsReplica));
  const summary = {
    flavor: facts.flavor,
    version: facts.version,
    killed: facts.killed,
    promoted: facts.promoted,
    wallMs: Math.round(facts.wallMs),
    workloadMs: Math.round(facts.workloadMs),
    misroutedWrites,
    misroutesByProxy,
    writesSeenByReplicas: facts.writesAsReplica,
    ...balance,
    rowsAcknowledgedAfterPromotion: balance.rowsAcknowledged - rowsAcknowledgedBeforeKill,
    balanceDrift: facts.balanceDrift,
    statementsByServer: mapServers(proxy, ({ statements }) => statements),
    readsByServer: mapServers(proxy, ({ reads }) => reads),
    writesByServer: mapServers(proxy, ({ writes }) => writes),
    readsCountedByServers: mapServers(evidence, ({ reads }) => reads),
    writesCountedByServers: mapServers(evidence, ({ writes }) => writes),
    readShare: shares(proxy, facts.replicas),
    readShareBeforeKill: shares(facts.proxyBeforeKill, facts.replicas),
    timeWithoutWritesMs: rounded(gaps.timeWithoutWritesMs),
    timeWithoutWritesAfterPromotionMs: rounded(gaps.afterPromotionMs),
    clientErrors: tally.errors,
    staleOwnReads: tally.staleOwnReads,
    wrongAnswers: tally.wrongAnswers,
  };
  const failures = failuresOf(summary, facts);
  return { ok: failures.length === 0, failures, ...summary };
}

function failuresOf(
  summary: Omit<DemoSummary, 'ok' | 'failures'>,
  { rowsAcknowledgedBeforeKill, replicas }: DemoFacts,
): string[] {
  const { rowsAcknowledgedAfterPromotion, readsByServer } = summary;
  const idle = replicas.filter((id) => (readsByServer[id] ?? 0) === 0);
  const rules: readonly [broken: boolean, text: string][] = [
    [summary.lostWrites > 0, `${summary.lostWrites} acknowledged rows are lost`],
    [summary.misroutedWrites > 0, `${summary.misroutedWrites} writes were sent to a replica`],
    [summary.rowsNobodyWrote > 0, `${summary.rowsNobodyWrote} refused rows were written`],
    [summary.balanceDrift !== 0, `Transactions were torn: the sum is ${summary.balanceDrift} off`],
    [summary.staleOwnReads > 0, `${summary.staleOwnReads} reads did not see their own writes`],
    [summary.wrongAnswers > 0, `${summary.wrongAnswers} reads had a wrong answer`],
    [idle.length > 0, `No reads reached ${idle.join(', ')}`],
    [
      Math.min(rowsAcknowledgedBeforeKill, rowsAcknowledgedAfterPromotion) < LEAST_ROWS,
      `Too little ran to prove anything: ${rowsAcknowledgedBeforeKill} rows before the failover and ${rowsAcknowledgedAfterPromotion} after it`,
    ],
  ];
  return rules.filter(([broken]) => broken).map(([, text]) => text);
}

function mapServers<T>(servers: ByServer<T>, figure: (of: T) => number): Record<string, number> {
  return Object.fromEntries(Object.entries(servers).map(([id, of]) => [id, figure(of)]));
}

function sum(figures: ByServer<number>): number {
  return Object.values(figures).reduce((total, figure) => total + figure, 0);
}

function shares(proxy: ByServer<ProxyCounts>, replicas: readonly string[]): ByServer<number> {
  const total = sum(mapServers(proxy, ({ reads }) => reads));
  return Object.fromEntries(
    replicas.map((id) => [
      id,
      total === 0 ? 0 : Math.round(((proxy[id]?.reads ?? 0) / total) * 1000) / 1000,
    ]),
  );
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}
