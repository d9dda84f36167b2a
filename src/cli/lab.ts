import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { withLock } from '../lab/cache.ts';
import type { Lab, LabServerStatus } from '../lab/lab.ts';
import { attachLab, type LabOptions, startLab } from '../lab/start-lab.ts';
import type { Flavor } from '../topology/snapshot.ts';
import { signalled } from './signals.ts';

const DEFAULT_DIR = '.lab';
const DEFAULT_BASE_PORT = 33_061;
const DEFAULT_REPLICAS = 2;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface CommonOptions {
  readonly dir: string;
  readonly json?: boolean;
}

interface UpOptions extends CommonOptions {
  readonly replicas: number;
  readonly flavor: Flavor;
  readonly basePort: number;
  readonly semiSync?: boolean;
  readonly server?: string;
  readonly containers?: boolean;
  readonly foreground?: boolean;
}

/** `lagwise lab …`: a real local cluster to try things on. Errors are thrown to the caller. */
export function labCommand(): Command {
  const lab = new Command('lab').description('run a real local replication cluster');
  addUp(lab);
  common(lab.command('status').description('show every server as it says itself')).action(
    async (options: CommonOptions) => {
      const attached = await attachLab(options.dir);
      show(options, await attached.status(), (servers) => servers.map(statusLine).join('\n'));
    },
  );
  common(lab.command('down').description('end all servers and delete the folder')).action(
    async (options: CommonOptions) => {
      const attached = await attachLab(options.dir);
      await attached.down();
      show(options, { down: attached.dir }, () => `The lab in ${attached.dir} is gone`);
    },
  );
  addServerCommands(lab);
  return lab;
}

function addUp(lab: Command): void {
  common(lab.command('up').description('start a primary and replicas'))
    .option('--replicas <count>', 'replicas beside the primary', wholeNumber, DEFAULT_REPLICAS)
    .addOption(
      new Option('--flavor <name>', 'kind of server')
        .choices(['mysql', 'mariadb'])
        .default('mysql'),
    )
    .option(
      '--base-port <port>',
      'port of db1, the others follow; 0 takes free ones',
      wholeNumber,
      DEFAULT_BASE_PORT,
    )
    .option('--semi-sync', 'a commit returns when a replica has received it')
    .option('--server <path>', 'the server program; without it one is found or fetched')
    .option('--containers', 'run the servers in containers, whatever programs there are')
    .option('--foreground', 'stay, and end the lab with Ctrl-C')
    .action(up);
}

async function up(options: UpOptions): Promise<void> {
  // Only a lab that goes away with us is up without a trace; until detached, every one is such.
  const lab = await startLab({ ...labOptions(options), onStep: say });
  // Listening before it is said that the lab is up: whoever reads that may signal at once.
  const end = options.foreground === true ? untilSignalled() : null;
  show(options, describe(lab), () => summary(lab, options));
  if (end === null) return lab.detach();
  await end;
  say('Ending the lab');
  await lab.down();
}

function labOptions(options: UpOptions): LabOptions {
  const { dir, replicas, flavor, basePort } = options;
  return {
    dir,
    replicas,
    flavor,
    basePort,
    semiSync: options.semiSync === true,
    containers: options.containers === true,
    ...(options.server === undefined ? {} : { serverPath: options.server }),
  };
}

type ServerAction = (lab: Lab, id: string) => Promise<void>;

function addServerCommands(lab: Command): void {
  const simple: readonly [name: string, description: string, action: ServerAction][] = [
    ['kill', 'end a server at once (SIGKILL)', (lab, id) => lab.kill(id)],
    ['stop', 'shut a server down in order', (lab, id) => lab.stop(id)],
    ['start', 'start a server again; it follows the present primary', (lab, id) => lab.start(id)],
    ['pause', 'let a server hang (SIGSTOP)', (lab, id) => lab.pause(id)],
    ['resume', 'let a paused server go on', (lab, id) => lab.resume(id)],
    ['promote', 'make a replica the primary', (lab, id) => lab.promote(id)],
  ];
  for (const [name, description, action] of simple) {
    common(lab.command(`${name} <id>`).description(description)).action(
      (id: string, options: CommonOptions) => onServer(options, id, action),
    );
  }
  common(lab.command('lag <id> <ms>').description('let a replica lag; 0 ends it')).action(
    (id: string, ms: string, options: CommonOptions) => {
      const lagMs = wholeNumber(ms);
      return onServer(options, id, (lab) => lab.setLag(id, lagMs));
    },
  );
}

async function onServer(options: CommonOptions, id: string, action: ServerAction): Promise<void> {
  // One at a time: two commands that both rewrite the lab's state would undo each other's.
  await withLock(`${resolve(options.dir)}.command`, async () => {
    const lab = await attachLab(options.dir, say);
    await action(lab, id);
    const server = (await lab.status()).find((status) => status.id === id);
    show(options, server, () => '');
  });
}

function common(command: Command): Command {
  return command
    .option('--dir <folder>', "the lab's folder", DEFAULT_DIR)
    .option('--json', 'print the result as JSON');
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number, 0 or more');
  return Number(text);
}

/** Steps go to standard error: standard output holds the result alone. */
function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function show<T>(options: CommonOptions, result: T, asText: (result: T) => string): void {
  const text = options.json === true ? JSON.stringify(result, null, 2) : asText(result);
  if (text !== '') process.stdout.write(`${text}\n`);
}

function describe(lab: Lab) {
  const { dir, flavor, version, origin, clientPath, servers } = lab;
  const { app, monitor } = lab.accounts;
  return { dir, flavor, version, origin, clientPath, servers, accounts: { app, monitor } };
}

function summary(lab: Lab, { dir, foreground }: UpOptions): string {
  const servers = lab.servers.map(
    (server) => `  ${server.id}  127.0.0.1:${server.port}  ${server.role}`,
  );
  const { user, password } = lab.accounts.app;
  const client = lab.clientPath ?? 'mysql';
  const option = dir === DEFAULT_DIR ? '' : ` --dir ${dir}`;
  return [
    `The lab is up: ${lab.flavor} ${lab.version}`,
    ...servers,
    `Try it:  ${client} -h 127.0.0.1 -P ${lab.primary.port} -u ${user} -p${password} app`,
    foreground === true ? 'End it:  Ctrl-C' : `End it:  lagwise lab down${option}`,
  ].join('\n');
}

function statusLine(server: LabServerStatus): string {
  const words = [server.id, `127.0.0.1:${server.port}`, server.role, server.state];
  if (server.readOnly !== null) words.push(server.readOnly ? 'read-only' : 'writable');
  if (server.sourcePort !== null) {
    words.push(`follows port ${server.sourcePort}`);
    words.push(`receiver ${server.receiver}`, `applier ${server.applier}`);
  }
  if (server.position) words.push(server.position);
  if (server.error) words.push(server.error);
  return words.join('  ');
}

async function untilSignalled(): Promise<void> {
  // A pending promise alone does not keep a process alive, and the servers are not our children's.
  const alive = setInterval(() => undefined, 60_000);
  await signalled(SIGNALS);
  clearInterval(alive);
}
