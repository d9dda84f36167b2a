/**
 * What do the probes cost the servers? Processor time and statements of an otherwise idle primary and
 * its replica, without probes and at each pace.
 *
 *     node tools/run.mjs test/lag/cost.ts --flavor mysql,mariadb --seconds 60
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Lab } from '../../src/lab/lab.ts';
import { startLab } from '../../src/lab/start-lab.ts';
import type { TopologyService } from '../../src/monitor/topology-service.ts';
import { watchLab, type WatchOptions } from './cluster.ts';

const { values } = parseArgs({
  options: {
    flavor: { type: 'string', default: 'mysql' },
    seconds: { type: 'string', default: '60' },
    /** Only the paces whose name has this in it. */
    only: { type: 'string', default: '' },
  },
});

/** Linux counts processor time in these. */
const TICKS_PER_SECOND = 100;
/** Behind the start of a pace, before it is measured. */
const SETTLE_MS = 7000;
const WANT_EACH_MS = 200;

interface PaceCase {
  readonly name: string;
  /** Null for no probes at all. */
  readonly watch: WatchOptions | null;
  /** A read waits all the time. */
  readonly isWanted: boolean;
}

const CASES: readonly PaceCase[] = [
  { name: 'no probes', watch: null, isWanted: false },
  { name: 'idle: each 1000 ms', watch: {}, isWanted: false },
  { name: 'base: each 250 ms', watch: { idleIntervalMs: 250 }, isWanted: false },
  { name: 'fastest: 25 ms', watch: {}, isWanted: true },
  {
    name: 'base, and heartbeats each 250 ms',
    watch: { idleIntervalMs: 250, heartbeatMs: 250 },
    isWanted: false,
  },
];

for (const flavor of values.flavor.split(',')) {
  if (flavor !== 'mysql' && flavor !== 'mariadb') throw new Error(`No such flavor: ${flavor}`);
  await measureFlavor(flavor, Number(values.seconds));
}

async function measureFlavor(flavor: 'mysql' | 'mariadb', seconds: number): Promise<void> {
  await using lab = await startLab({ flavor, replicas: 1 });
  await lab.rootQuery('db1', `GRANT ALL ON lagwise.* TO '${lab.accounts.monitor.user}'@'%'`);
  await lab.waitReplicated();
  console.log(`\n${flavor} ${lab.version}, ${seconds} s each\n`);
  console.log('| pace | primary: statements/s | CPU | replica: statements/s | CPU |');
  console.log('| --- | --: | --: | --: | --: |');
  for (const each of CASES.filter(({ name }) => name.includes(values.only))) {
    const topology = each.watch === null ? null : watchLab(lab, each.watch);
    const wanting = topology !== null && each.isWanted ? keepWanting(topology) : null;
    await sleep(SETTLE_MS);
    const ids = ['db1', 'db2'];
    const before = await Promise.all(ids.map((id) => usageOf(lab, id)));
    await sleep(seconds * 1000);
    const after = await Promise.all(ids.map((id) => usageOf(lab, id)));
    if (wanting !== null) clearInterval(wanting);
    await topology?.stop();
    const cells = ids.flatMap((_, index) => cellsOf(before[index], after[index], seconds));
    console.log(`| ${[each.name, ...cells].join(' | ')} |`);
  }
}

function keepWanting(topology: TopologyService): NodeJS.Timeout {
  return setInterval(() => topology.wanted(), WANT_EACH_MS);
}

interface Usage {
  readonly cpuSeconds: number;
  readonly statements: number;
}

async function usageOf(lab: Lab, id: string): Promise<Usage> {
  const { pid } = lab.server(id);
  if (pid === null) throw new Error('The servers must be processes of this machine');
  const [row] = await lab.rootQuery(id, "SHOW GLOBAL STATUS LIKE 'Queries'");
  // The name, in brackets, may hold anything; user and system time are the 12th and 13th after it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { cpuSeconds: ticks / TICKS_PER_SECOND, statements: Number(row?.['Value']) };
}

function cellsOf(before: Usage | undefined, after: Usage | undefined, seconds: number): string[] {
  if (before === undefined || after === undefined) return ['–', '–'];
  // One of them is our own look.
  const rate = Math.max(0, after.statements - before.statements - 1) / seconds;
  const share = ((after.cpuSeconds - before.cpuSeconds) / seconds) * 100;
  return [rate.toFixed(1), `${share.toFixed(2)} %`];
}
