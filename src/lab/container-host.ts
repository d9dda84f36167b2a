import { LagwiseError } from '../lib/errors.ts';
import { accountStatements } from './accounts.ts';
import { LAB_LABEL, openEngine, removeContainers } from './container-engine.ts';
import type { LabState, ServerRecord } from './lab-state.ts';
import type { Programs } from './programs.ts';
import type { RunState, ServerHost } from './server-host.ts';
import { serverOptions } from './server-options.ts';
import { removeLab } from './watchdog.ts';

type ContainerPrograms = Extract<Programs, { t: 'container' }>;

const HOME = '/var/lib/lagwise';
const STOP_DEADLINE_S = 60;
const TAIL_LINES = 5;

/**
 * The container's first process: initialises the data folder when there is none, then becomes the
 * server. The image's own entry point is left out: what it does differs from image to image.
 */
const START_SCRIPT: Record<ContainerPrograms['flavor'], string> = {
  mysql: `
    if [ ! -e ${HOME}/ready ]; then
      mkdir -p ${HOME} && printf '%s' "$LAGWISE_INIT_SQL" > ${HOME}/init.sql
      mysqld --no-defaults --initialize-insecure --user=root --datadir=${HOME}/data --init-file=${HOME}/init.sql || exit 1
      rm -f ${HOME}/data/auto.cnf && touch ${HOME}/ready
    fi
    exec mysqld --no-defaults "$@"`,
  mariadb: `
    if [ ! -e ${HOME}/ready ]; then
      mkdir -p ${HOME}/data
      mariadb-install-db --no-defaults --user=root --datadir=${HOME}/data --auth-root-authentication-method=normal --skip-test-db || exit 1
      printf 'USE mysql;\\nFLUSH PRIVILEGES;\\n%s' "$LAGWISE_INIT_SQL" | mariadbd --no-defaults --bootstrap --user=root --datadir=${HOME}/data || exit 1
      touch ${HOME}/ready
    fi
    exec mariadbd --no-defaults "$@"`,
};

/**
 * Servers as containers in a network of their own. Each listens inside on the port that this
 * machine reaches it by, so that the port in a replica's status names the same server everywhere.
 */
export class ContainerHost implements ServerHost {
  readonly #dir: string;
  readonly #state: LabState;
  readonly #programs: ContainerPrograms;

  constructor(dir: string, state: LabState, programs: ContainerPrograms) {
    this.#dir = dir;
    this.#state = state;
    this.#programs = programs;
  }

  /** New data is a new container: a container's data lives and dies with it. */
  async createData(server: ServerRecord): Promise<void> {
    if (server.containerId === null) return;
    const engine = await openEngine();
    await engine.getContainer(server.containerId).remove({ force: true, v: true });
    server.containerId = null;
  }

  async launch(server: ServerRecord): Promise<void> {
    const engine = await openEngine();
    server.containerId ??= await this.#create(server);
    await engine.getContainer(server.containerId).start();
  }

  async #create(server: ServerRecord): Promise<string> {
    const engine = await openEngine();
    const port = `${server.port}/tcp`;
    const labels = { [LAB_LABEL]: this.#dir };
    const created = await engine.createContainer({
      Image: this.#programs.image,
      Entrypoint: ['/bin/sh', '-c', START_SCRIPT[this.#programs.flavor], 'lagwise'],
      Cmd: [...this.#options(server), ...this.#state.serverOptions],
      Env: [`LAGWISE_INIT_SQL=${this.#initSql()}`],
      User: '0',
      // Without a terminal the engine frames each line of the log in binary headers.
      Tty: true,
      Labels: labels,
      ExposedPorts: { [port]: {} },
      HostConfig: {
        PortBindings: { [port]: [{ HostIp: '127.0.0.1', HostPort: String(server.port) }] },
      },
      NetworkingConfig: {
        EndpointsConfig: { [await this.#network()]: { Aliases: [server.id] } },
      },
    });
    return created.id;
  }

  #options(server: ServerRecord): string[] {
    const place = {
      serverNumber: server.serverNumber,
      port: server.port,
      bindAddress: '0.0.0.0',
      reportHost: server.id,
      reportPort: server.port,
      dataDir: `${HOME}/data`,
      socketPath: `${HOME}/server.sock`,
      pidPath: `${HOME}/server.pid`,
      logPath: 'stderr',
      tmpDir: '/tmp',
    };
    const options = serverOptions(this.#programs.flavor, place, this.#state.semiSync);
    // An absent --log-error is standard error, which the engine keeps; root is who runs it inside.
    const kept = options.filter((option) => !/^--(log-error|user)=/.test(option));
    return [...kept, '--user=root'];
  }

  /** Root comes in by TCP here: a random password, since the port is this machine's. */
  #initSql(): string {
    const root = `'root'@'%'`;
    const statements = [
      ...accountStatements(this.#programs.flavor),
      `CREATE USER ${root} IDENTIFIED BY '${this.#state.rootPassword}'`,
      `GRANT ALL ON *.* TO ${root} WITH GRANT OPTION`,
    ];
    return `${statements.join(';\n')};\n`;
  }

  /** One network for the lab, whoever of the servers asks first. */
  #network(): Promise<string> {
    this.#networkMade ??= this.#makeNetwork();
    return this.#networkMade;
  }

  #networkMade: Promise<string> | null = null;

  async #makeNetwork(): Promise<string> {
    if (this.#state.networkName !== null) return this.#state.networkName;
    const engine = await openEngine();
    const name = `lagwise-lab-${this.#state.rootPassword.slice(0, 12)}`;
    await engine.createNetwork({ Name: name, Labels: { [LAB_LABEL]: this.#dir } });
    this.#state.networkName = name;
    return name;
  }

  async state(server: ServerRecord): Promise<RunState> {
    if (server.containerId === null) return 'stopped';
    const engine = await openEngine();
    const { State } = await engine.getContainer(server.containerId).inspect();
    if (State.Paused) return 'paused';
    return State.Running ? 'running' : 'stopped';
  }

  async end(server: ServerRecord, how: 'kill' | 'stop'): Promise<void> {
    const before = await this.state(server);
    if (before === 'stopped') return;
    const container = await this.#container(server);
    // The engine signals no paused container: not even to end it.
    if (before === 'paused') await container.unpause();
    if (how === 'kill') await container.kill({ signal: 'SIGKILL' });
    else await container.stop({ t: STOP_DEADLINE_S });
    await container.wait();
  }

  async pause(server: ServerRecord): Promise<void> {
    await (await this.#container(server)).pause();
  }

  async resume(server: ServerRecord): Promise<void> {
    await (await this.#container(server)).unpause();
  }

  async #container(server: ServerRecord) {
    if (server.containerId === null || (await this.state(server)) === 'stopped') {
      throw new LagwiseError('lab', `${server.id} does not run: start it first`);
    }
    return (await openEngine()).getContainer(server.containerId);
  }

  pid(): null {
    return null;
  }

  rootAccess(server: ServerRecord) {
    return { host: '127.0.0.1', port: server.port, password: this.#state.rootPassword };
  }

  source(server: ServerRecord) {
    return { host: server.id, port: server.port };
  }

  detour(): Promise<never> {
    throw new LagwiseError('lab', 'A lag of servers in containers is in whole seconds');
  }

  endDetour(): void {
    // There never is one, see detour.
  }

  paths() {
    return null;
  }

  async logTail(server: ServerRecord): Promise<string> {
    if (server.containerId === null) return '';
    const container = (await openEngine()).getContainer(server.containerId);
    const log = await container.logs({ stdout: true, stderr: true, tail: TAIL_LINES });
    return log.toString('utf8').trim();
  }

  async remove(): Promise<void> {
    await removeContainers(this.#dir);
    await removeLab(this.#dir, this.#state.socketDir);
  }
}
