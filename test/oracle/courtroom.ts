import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { RoutineCatalogue } from '../../src/monitor/routine-catalogue.ts';
import { judgeRoutines } from '../../src/monitor/routine-judge.ts';
import { ServerRoutines } from '../../src/monitor/routine-source.ts';
import type { RoutineFacts } from '../../src/sql/routine-facts.ts';
import { aServer } from '../support/snapshots.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { startLab } from '../../src/lab/start-lab.ts';
import type { Flavor } from '../../src/topology/snapshot.ts';
import { ACCOUNT, accountSetup, fixture, readOnlySetup, SCHEMA } from './fixture.ts';
import type { Court } from './judge.ts';

/** Two servers with the same data that know nothing of each other. */
export interface Courtroom extends Court {
  /** As version comments count: 90704 for MySQL 9.7.4. */
  readonly serverVersion: number;
  /** As the server says it. */
  readonly version: string;
  /** What the proxy would know of the routines. */
  readonly routines: RoutineFacts;
  /** The last lines of the servers' logs, for an error of theirs. */
  logs(): Promise<string>;
  close(): Promise<void>;
}

const LOG_LINES = 100;

const CATALOGUE_DEADLINE_MS = 20_000;

/** Starts the servers and fills them; the caller closes. */
export async function openCourtroom(flavor: Flavor): Promise<Courtroom> {
  // Not a primary and its replica: what the scratch server drops must stay on the other one.
  const labs = await Promise.all([
    startLab({ flavor, replicas: 0 }),
    startLab({ flavor, replicas: 0 }),
  ]);
  const [readOnly, scratch] = labs;
  let routines: RoutineFacts;
  try {
    await Promise.all(labs.map((lab) => fill(lab, flavor)));
    for (const sql of readOnlySetup(flavor)) await readOnly.rootQuery('db1', sql);
    routines = await catalogueOf(readOnly);
  } catch (error) {
    await closeAll(labs);
    throw error;
  }
  return {
    flavor,
    readOnlyPort: readOnly.primary.port,
    scratchPort: scratch.primary.port,
    version: scratch.version,
    serverVersion: versionNumber(scratch.version),
    routines,
    logs: async () => (await Promise.all(labs.map(logTail))).join('\n\n'),
    close: () => closeAll(labs),
  };
}

async function logTail({ primary }: Lab): Promise<string> {
  if (primary.dataDir === null) return '';
  const text = await readFile(join(primary.dataDir, '..', 'error.log'), 'utf8');
  const lines = text.trim().split('\n').slice(-LOG_LINES);
  return [`The server on port ${primary.port} ends its log with:`, ...lines].join('\n');
}

async function closeAll(labs: readonly Lab[]): Promise<void> {
  await Promise.all(labs.map((lab) => lab.down()));
}

async function fill(lab: Lab, flavor: Flavor): Promise<void> {
  for (const sql of accountSetup(flavor)) await lab.rootQuery('db1', sql);
  const { host, port } = lab.primary;
  const connection = await createConnection({ host, port, ...ACCOUNT, database: SCHEMA });
  try {
    for (const sql of fixture(flavor)) await connection.query(sql);
  } finally {
    connection.destroy();
  }
}

async function catalogueOf(lab: Lab): Promise<RoutineFacts> {
  const { host, port } = lab.primary;
  const source = new ServerRoutines({ account: ACCOUNT, tls: { mode: 'preferred', ca: null } });
  const signal = AbortSignal.timeout(CATALOGUE_DEADLINE_MS);
  const listing = await source.read(aServer({ host, port }), signal);
  return new RoutineCatalogue(await judgeRoutines(listing));
}

/** 90704 from `9.7.4-…`, 101119 from `10.11.19-MariaDB`. */
function versionNumber(version: string): number {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) * 10_000 + Number(minor) * 100 + Number(patch);
}
