import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '../../../src/lab/free-ports.ts';
import type { LabServer } from '../../../src/lab/lab.ts';
import { findProgram, type ProgramRequest } from '../programs.ts';
import type { Target, TargetContext } from '../target.ts';
import { launchProxy } from './launch.ts';

const ROUTER: ProgramRequest = {
  name: 'mysqlrouter',
  packages: { name: 'mysql-router', suite: 'sid', packages: ['mysql-router'] },
  treePath: 'usr/bin/mysqlrouter',
  versionFlag: '--version',
};

/**
 * MySQL Router with static routes of the classic protocol and one I/O thread. TLS to the servers is
 * its default and would cost it a third of its throughput: off, as for the other targets.
 */
export async function startMysqlRouter(context: TargetContext): Promise<Target> {
  const { lab, dir, onProgress } = context;
  const { command, version, tree } = await findProgram(ROUTER, onProgress);
  const [readPort = 0, writePort = 0] = await freePorts(2);
  const replicas = lab.servers.filter((server) => server.role === 'replica');
  const home = join(dir, 'mysql-router');
  await mkdir(home);
  const configPath = join(home, 'mysqlrouter.conf');
  const settings = [
    '[DEFAULT]',
    ...['logging_folder', 'runtime_folder', 'data_folder'].map((name) => `${name}=${home}`),
    ...(tree === null ? [] : [`plugin_folder=${tree.path('usr/lib/mysqlrouter/plugin')}`]),
    '[logger]',
    'level=WARNING',
    '[io]',
    'threads=1',
    ...routing('reads', readPort, replicas),
    ...routing('writes', writePort, [lab.primary]),
    '',
  ];
  await writeFile(configPath, settings.join('\n'));
  const run = { ...command, args: [...command.args, '--config', configPath] };
  const logPath = join(home, 'output.log');
  return launchProxy(run, { name: 'mysql-router', version, readPort, writePort, logPath });
}

function routing(name: string, port: number, servers: readonly LabServer[]): string[] {
  return [
    `[routing:${name}]`,
    'bind_address=127.0.0.1',
    `bind_port=${port}`,
    `destinations=${servers.map((server) => `${server.host}:${server.port}`).join(',')}`,
    'routing_strategy=round-robin',
    'protocol=classic',
    'client_ssl_mode=DISABLED',
    'server_ssl_mode=DISABLED',
    'connection_sharing=0',
  ];
}
