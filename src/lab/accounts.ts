import type { Flavor } from '../topology/snapshot.ts';

/** A login on the servers of a lab. */
export interface LabAccount {
  readonly user: string;
  readonly password: string;
}

/**
 * The accounts of every lab server. The passwords are public: servers listen on this machine's
 * loopback address only, and hold nothing but what a test or a demo wrote.
 */
export const LAB_ACCOUNTS = {
  /** Owns schema `app` and may create others; cannot write on a read-only server. */
  app: { user: 'app', password: 'app' },
  /** What Lagwise probes with: may look at replication, routines and names of views only. */
  monitor: { user: 'lagwise_monitor', password: 'lagwise_monitor' },
  /** What replicas log in with at their source. */
  replication: { user: 'lagwise_replication', password: 'lagwise_replication' },
  /** Full rights, by the server's socket only (in a container by TCP with a password). */
  root: { user: 'root', password: '' },
} as const satisfies Record<string, LabAccount>;

/** The schema that the app account finds on a new server. */
export const LAB_SCHEMA = 'app';

/**
 * What applications, mysqldump, sysbench and change-data-capture clients do. Deliberately without
 * what makes a server's read-only flag meaningless: SUPER, SYSTEM_VARIABLES_ADMIN,
 * CONNECTION_ADMIN (MariaDB: READ ONLY ADMIN), and without rights over accounts.
 */
const APP_RIGHTS = [
  'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, FILE, REFERENCES, INDEX, ALTER',
  'SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE',
  'CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER',
].join(', ');

/** The statements that make the accounts on an empty server, one per element. */
export function accountStatements(flavor: Flavor): string[] {
  const { app, monitor, replication } = LAB_ACCOUNTS;
  const create = ({ user, password }: LabAccount) =>
    `CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`;
  return [
    `CREATE DATABASE ${LAB_SCHEMA}`,
    create(app),
    `GRANT ${APP_RIGHTS} ON *.* TO '${app.user}'@'%'`,
    ...flavorRights(flavor),
    create(replication),
    `GRANT REPLICATION SLAVE ON *.* TO '${replication.user}'@'%'`,
    create(monitor),
    ...monitorGrants(flavor, monitor.user),
  ];
}

function flavorRights(flavor: Flavor): string[] {
  const { app } = LAB_ACCOUNTS;
  if (flavor === 'mariadb') {
    return [`GRANT BINLOG MONITOR ON *.* TO '${app.user}'@'%'`];
  }
  return [
    `GRANT REPLICATION CLIENT ON *.* TO '${app.user}'@'%'`,
    `GRANT SESSION_VARIABLES_ADMIN, XA_RECOVER_ADMIN, SHOW_ROUTINE ON *.* TO '${app.user}'@'%'`,
  ];
}

/**
 * The grants that Lagwise's monitor needs on a server of one's own; docs/lab.md shows them. Those
 * for routines and views show it what functions do, and no data.
 */
function monitorGrants(flavor: Flavor, user: string): string[] {
  const rights =
    flavor === 'mariadb'
      ? [
          'BINLOG MONITOR, REPLICA MONITOR, SHOW VIEW ON *.*',
          'SELECT ON mysql.proc',
          'SELECT ON mysql.func',
        ]
      : ['REPLICATION CLIENT, SHOW VIEW ON *.*', 'SHOW_ROUTINE ON *.*'];
  return [...rights, 'SELECT ON performance_schema.*'].map(
    (right) => `GRANT ${right} TO '${user}'@'%'`,
  );
}
