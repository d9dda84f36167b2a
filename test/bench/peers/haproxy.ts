import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '../../../src/lab/free-ports.ts';
import type { LabServer } from '../../../src/lab/lab.ts';
import { findProgram, type ProgramRequest } from '../programs.ts';
import type { Target, TargetContext } from '../target.ts';
import { launchProxy } from './launch.ts';

const HAPROXY: ProgramRequest = {
  name: 'haproxy',
  packages: { name: 'haproxy', suite: 'native', packages: ['haproxy'] },
  treePath: 'usr/sbin/haproxy',
  versionFlag: '-v',
};

/** HAProxy as a TCP proxy with one thread: reads over the replicas, writes to the primary. */
export async function startHaproxy(context: TargetContext): Promise<Target> {
  const { lab, dir, onProgress } = context;
  const { command, version } = await findProgram(HAPROXY, onProgress);
  const [readPort = 0, writePort = 0] = await freePorts(2);
  const replicas = lab.servers.filter((server) => server.role === 'replica');
  const configPath = join(dir, 'haproxy.cfg');
  await writeFile(
    configPath,
    [
      ...SETTINGS,
      ...listen('reads', readPort, replicas),
      ...listen('writes', writePort, [lab.primary]),
      '',
    ].join('\n'),
  );
  const run = { ...command, args: [...command.args, '-db', '-f', configPath] };
  const logPath = join(dir, 'haproxy.log');
  return launchProxy(run, { name: 'haproxy', version, readPort, writePort, logPath });
}

const SETTINGS = [
  'global',
  '  nbthread 1',
  '  maxconn 4096',
  'defaults',
  '  mode tcp',
  '  timeout connect 5s',
  '  timeout client 1h',
  '  timeout server 1h',
];

function listen(name: string, port: number, servers: readonly LabServer[]): string[] {
  return [
    `listen ${name}`,
    `  bind 127.0.0.1:${port}`,
    '  balance roundrobin',
    ...servers.map((server) => `  server ${server.id} ${server.host}:${server.port}`),
  ];
}
