import { createConnection } from 'mysql2/promise';
import type { Lab } from '../../src/lab/lab.ts';
import { textOf } from '../../src/lab/root-connection.ts';
import type { EndState, EndValue } from './checks.ts';
import type { Keys } from './history.ts';

/** Schema and tables of the checker. */
export const SCHEMA = 'consistency';

/** Makes the keys, all 0, and on every server a row that tells which one it is. */
export async function createTables(lab: Lab, keys: Keys): Promise<void> {
  const count = keys.registers + keys.counters;
  const rows = Array.from({ length: count }, (_, key) => `(${key}, 0, 0)`).join(', ');
  for (const sql of [
    `DROP DATABASE IF EXISTS ${SCHEMA}`,
    `CREATE DATABASE ${SCHEMA}`,
    `CREATE TABLE ${SCHEMA}.registers
       (k INT PRIMARY KEY, v BIGINT NOT NULL, n BIGINT NOT NULL) ENGINE=InnoDB`,
    `INSERT INTO ${SCHEMA}.registers VALUES ${rows}`,
    `CREATE TABLE ${SCHEMA}.whoami (id INT PRIMARY KEY) ENGINE=InnoDB`,
  ]) {
    await lab.rootQuery(lab.primary.id, sql);
  }
  await lab.waitReplicated();
  for (const { id } of lab.servers) await nameServer(lab, id);
}

/**
 * Writes the server's number into its own `whoami`, unknown to replication: so a read can tell who
 * answered it, which variables cannot (those may send it to the primary).
 */
export async function nameServer(lab: Lab, id: string): Promise<void> {
  const { role, socketPath } = lab.server(id);
  if (socketPath === null) return;
  const root = await createConnection({ user: 'root', socketPath });
  try {
    const locked = lab.flavor === 'mysql' && role === 'replica';
    await root.query('SET sql_log_bin=0');
    if (locked) await root.query('SET GLOBAL super_read_only=OFF');
    await root.query(`REPLACE INTO ${SCHEMA}.whoami VALUES (${id.slice('db'.length)})`);
    if (locked) await root.query('SET GLOBAL super_read_only=ON');
  } finally {
    root.destroy();
  }
}

/** What all servers hold, once the replicas have caught up. */
export async function endState(lab: Lab, deadlineMs: number): Promise<EndState> {
  await lab.waitReplicated(deadlineMs);
  const replicas: Record<string, readonly EndValue[]> = {};
  for (const { id, role } of lab.servers) {
    if (role === 'replica') replicas[id] = await valuesOn(lab, id);
  }
  return { primary: await valuesOn(lab, lab.primary.id), replicas };
}

async function valuesOn(lab: Lab, id: string): Promise<EndValue[]> {
  const rows = await lab.rootQuery(id, `SELECT v, n FROM ${SCHEMA}.registers ORDER BY k`);
  return rows.map((row) => ({
    value: Number(textOf([row], 'v')),
    writes: Number(textOf([row], 'n')),
  }));
}
