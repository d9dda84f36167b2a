import type { Flavor } from '../topology/snapshot.ts';

/** What distinguishes one server of a lab from the next. */
export interface ServerPlace {
  /** `server_id`: 1 for db1. */
  readonly serverNumber: number;
  readonly port: number;
  /** The address that the server listens on: loopback, or any inside a container. */
  readonly bindAddress: string;
  /** What it calls itself towards its source. */
  readonly reportHost: string;
  readonly reportPort: number;
  readonly dataDir: string;
  readonly socketPath: string;
  readonly pidPath: string;
  readonly logPath: string;
  /**
   * A folder of its own for temporary files: a MariaDB that starts deletes the temporary tables that
   * it finds there, those of running servers too.
   */
  readonly tmpDir: string;
}

/**
 * The command line of a replicating server. Each one starts read-only, whatever it was before: the
 * lab opens the primary when it knows that it is the primary.
 */
export function serverOptions(flavor: Flavor, place: ServerPlace, semiSync: boolean): string[] {
  return [
    `--datadir=${place.dataDir}`,
    `--socket=${place.socketPath}`,
    `--pid-file=${place.pidPath}`,
    `--log-error=${place.logPath}`,
    `--tmpdir=${place.tmpDir}`,
    `--port=${place.port}`,
    `--bind-address=${place.bindAddress}`,
    `--server-id=${place.serverNumber}`,
    `--report-host=${place.reportHost}`,
    `--report-port=${place.reportPort}`,
    ...COMMON,
    ...(flavor === 'mysql' ? MYSQL : MARIADB),
    ...(semiSync ? SEMI_SYNC[flavor] : []),
    // A server started by root refuses to run unless told that this is meant.
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
  ];
}

const COMMON = [
  '--log-bin=binlog',
  '--relay-log=relay',
  '--relay-log-recovery=ON',
  '--binlog-format=ROW',
  '--read-only=ON',
  '--skip-name-resolve',
  '--local-infile=ON',
  '--secure-file-priv=',
  '--log-bin-trust-function-creators=ON',
  '--max-connections=2000',
  '--back-log=500',
  '--performance-schema=ON',
  '--innodb-buffer-pool-size=128M',
  // The log is written at each commit and flushed to the disk by the system later: a killed server
  // loses nothing, a machine that loses power may lose a second. For throw-away data.
  '--innodb-flush-log-at-trx-commit=2',
  '--sync-binlog=0',
];

const MYSQL = [
  '--gtid-mode=ON',
  '--enforce-gtid-consistency=ON',
  '--super-read-only=ON',
  '--replica-parallel-workers=4',
  '--replica-preserve-commit-order=ON',
  '--replica-net-timeout=10',
  '--mysqlx=OFF',
  '--table-open-cache=1000',
];

const MARIADB = [
  '--gtid-strict-mode=ON',
  '--log-slave-updates=ON',
  '--slave-parallel-threads=4',
  '--slave-parallel-mode=optimistic',
  '--slave-net-timeout=10',
  '--character-set-server=utf8mb4',
  '--innodb-log-file-size=64M',
];

/**
 * The replica's half is on everywhere. The source's half is switched by role: a replica commits too,
 * and would wait for an acknowledgement that nobody below it sends.
 */
const SEMI_SYNC: Record<Flavor, readonly string[]> = {
  mysql: [
    '--plugin-load-add=semisync_source.so;semisync_replica.so',
    '--rpl-semi-sync-replica-enabled=ON',
    // With no replica left commits go on at once, not after the time limit.
    '--rpl-semi-sync-source-wait-no-replica=OFF',
  ],
  mariadb: [
    '--rpl-semi-sync-slave-enabled=ON',
    '--rpl-semi-sync-master-wait-no-slave=OFF',
    '--rpl-semi-sync-master-wait-point=AFTER_SYNC',
  ],
};
