import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { LAB_ACCOUNTS, type LabAccount } from '../../src/lab/accounts.ts';
import { RELAY_ARGUMENT } from '../../src/lab/delay-relay.ts';
import { freePorts } from '../../src/lab/free-ports.ts';
import type { Lab, LabServerStatus } from '../../src/lab/lab.ts';
import { findByArgument } from '../../src/lab/process-identity.ts';
import { startLab } from '../../src/lab/start-lab.ts';

const FLAVORS = ['mysql', 'mariadb'] as const;
const CLI = fileURLToPath(new URL('../support/lab-cli.ts', import.meta.url));
const { app, monitor } = LAB_ACCOUNTS;

async function query(port: number, account: LabAccount, sql: string): Promise<RowDataPacket[]> {
  const connection = await createConnection({ host: '127.0.0.1', port, ...account });
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    return rows;
  } finally {
    connection.destroy();
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Not within 20 s: ${what}`);
    await sleep(20);
  }
}

const serversBelow = (dir: string) => findByArgument(`--datadir=${dir}/`);

function portAnswers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: '127.0.0.1', port });
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

describe.each(FLAVORS)('a lab of %s', (flavor) => {
  const steps: string[] = [];

  /** Each test that breaks something has its own cluster: it is up in seconds. */
  async function freshLab(options: { replicas?: number; semiSync?: boolean } = {}): Promise<Lab> {
    steps.length = 0;
    const lab = await startLab({ flavor, ...options, onStep: (text) => steps.push(text) });
    onTestFinished(() => lab.down());
    await lab.rootQuery('db1', 'CREATE TABLE app.t (id INT PRIMARY KEY)');
    await lab.waitReplicated();
    return lab;
  }

  const insert = (lab: Lab, id: number) =>
    query(lab.primary.port, app, `INSERT INTO app.t VALUES (${id})`);
  const idsOn = async (lab: Lab, server: string) =>
    (await query(lab.server(server).port, app, 'SELECT id FROM app.t ORDER BY id')).map(
      (row) => row['id'] as number,
    );

  it('replicates from db1 and lets nobody but root write on replicas', async () => {
    const lab = await freshLab();
    await insert(lab, 1);
    await lab.waitReplicated();
    for (const { id } of lab.servers) expect(await idsOn(lab, id)).toEqual([1]);
    for (const { port } of lab.servers.slice(1)) {
      await expect(query(port, app, 'INSERT INTO app.t VALUES (2)')).rejects.toMatchObject({
        errno: 1290,
      });
    }
    const status = await lab.status();
    expect(status.map(({ role, readOnly, error }) => [role, readOnly, error || null])).toEqual([
      ['primary', false, null],
      ['replica', true, null],
      ['replica', true, null],
    ]);
  });

  it('gives the app what an application needs: schemas, routines, triggers, views', async () => {
    const lab = await freshLab({ replicas: 0 });
    const connection = await createConnection({
      host: '127.0.0.1',
      port: lab.primary.port,
      ...app,
    });
    onTestFinished(() => connection.destroy());
    for (const sql of [
      'CREATE DATABASE shop',
      'CREATE TABLE shop.o (id INT PRIMARY KEY AUTO_INCREMENT, n INT)',
      'CREATE VIEW shop.v AS SELECT n FROM shop.o',
      'CREATE TRIGGER shop.tr BEFORE INSERT ON shop.o FOR EACH ROW SET NEW.n = NEW.n + 1',
      'CREATE FUNCTION shop.f() RETURNS INT RETURN (SELECT MAX(n) FROM shop.o)',
      'CREATE PROCEDURE shop.p() INSERT INTO shop.o (n) VALUES (1)',
      'CALL shop.p()',
      'FLUSH TABLES WITH READ LOCK',
      'UNLOCK TABLES',
    ]) {
      await connection.query(sql);
    }
    const [rows] = await connection.query<RowDataPacket[]>('SELECT shop.f() AS f, n FROM shop.v');
    expect(rows).toEqual([{ f: 2, n: 2 }]);
    await connection.query('DROP DATABASE shop');
    await expect(connection.query('SET GLOBAL read_only=ON')).rejects.toThrow(/denied/);
  });

  it('lets the monitor see replication, and neither data nor writes', async () => {
    const lab = await freshLab({ replicas: 1 });
    const { port } = lab.server('db2');
    const show = flavor === 'mysql' ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS';
    const [row] = await query(port, monitor, show);
    expect(Object.values(row ?? {})).toContain(lab.primary.port);
    await query(port, monitor, 'SELECT * FROM performance_schema.threads LIMIT 1');
    await expect(query(port, monitor, 'SELECT * FROM app.t')).rejects.toThrow(/denied/);
    await expect(query(lab.primary.port, monitor, 'CREATE DATABASE x')).rejects.toThrow(/denied/);
  });

  it('promotes without losing what was acknowledged, and takes the killed primary back', async () => {
    const lab = await freshLab({ semiSync: true });
    for (let id = 1; id <= 20; id++) await insert(lab, id);
    await lab.kill('db1');
    await lab.promote('db2');
    expect(lab.primary.id).toBe('db2');
    await insert(lab, 21);
    await lab.start('db1');
    await lab.waitReplicated();
    const all = Array.from({ length: 21 }, (_, index) => index + 1);
    for (const { id } of lab.servers) expect(await idsOn(lab, id)).toEqual(all);
    await expect(query(lab.server('db1').port, app, 'DELETE FROM app.t')).rejects.toMatchObject({
      errno: 1290,
    });
    expect(steps).not.toContainEqual(expect.stringContaining('laid down anew'));
  });

  it('fetches from another replica what the promoted one has not received', async () => {
    const lab = await freshLab();
    const words = flavor === 'mysql' ? 'REPLICA' : 'SLAVE';
    await lab.rootQuery('db2', `STOP ${words} IO_THREAD`);
    await insert(lab, 1);
    await until('db3 has the row', async () => (await idsOn(lab, 'db3')).length === 1);
    await lab.kill('db1');
    await lab.promote('db2');
    expect(await idsOn(lab, 'db2')).toEqual([1]);
    await insert(lab, 2);
    await lab.waitReplicated();
    expect(await idsOn(lab, 'db3')).toEqual([1, 2]);
  });

  it('lays a returning primary down anew when it has what the new one lacks', async () => {
    const lab = await freshLab({ replicas: 1 });
    await lab.rootQuery('db2', `STOP ${flavor === 'mysql' ? 'REPLICA' : 'SLAVE'} IO_THREAD`);
    await insert(lab, 1);
    await lab.kill('db1');
    await lab.promote('db2');
    await insert(lab, 2);
    await lab.start('db1');
    await lab.waitReplicated();
    expect(steps).toContainEqual(expect.stringContaining('laid down anew'));
    expect(await idsOn(lab, 'db1')).toEqual([2]);
  });

  it('switches over while all servers run', async () => {
    const lab = await freshLab();
    await insert(lab, 1);
    await lab.promote('db3');
    await insert(lab, 2);
    await lab.waitReplicated();
    for (const { id } of lab.servers) expect(await idsOn(lab, id)).toEqual([1, 2]);
    const follows = (await lab.status()).map(({ sourcePort }) => sourcePort);
    const { port } = lab.server('db3');
    expect(follows).toEqual([port, port, null]);
  });

  it('makes one replica lag by about the time asked for, and the others not', async () => {
    const lab = await freshLab();
    await lab.setLag('db2', 600);
    const before = performance.now();
    await insert(lab, 1);
    await until('db3 has the row', async () => (await idsOn(lab, 'db3')).length === 1);
    expect(await idsOn(lab, 'db2')).toEqual([]);
    await until('db2 has the row', async () => (await idsOn(lab, 'db2')).length === 1);
    expect(performance.now() - before).toBeGreaterThan(590);
    await lab.setLag('db2', 0);
    await insert(lab, 2);
    await lab.waitReplicated(5_000);
    await expect(lab.setLag('db1', 100)).rejects.toThrow('db1 is the primary');
  });

  it('keeps a lag steady under a stream of writes, and ends it with a promotion', async () => {
    const lab = await freshLab();
    await lab.setLag('db2', 400);
    const ackedAtMs: number[] = [];
    const lagsMs: number[] = [];
    const endMs = performance.now() + 3_000;
    for (let id = 0; performance.now() < endMs; id++) {
      await insert(lab, id);
      ackedAtMs[id] = performance.now();
      const shown = (await idsOn(lab, 'db2')).length;
      const oldestUnseen = ackedAtMs[shown];
      if (oldestUnseen !== undefined) lagsMs.push(performance.now() - oldestUnseen);
    }
    expect(lagsMs.length).toBeGreaterThan(50);
    const sorted = lagsMs.slice(lagsMs.length >> 1).toSorted((a, b) => a - b);
    const medianMs = sorted[sorted.length >> 1];
    expect(medianMs).toBeGreaterThan(350);
    expect(medianMs).toBeLessThan(800);
    await lab.promote('db2');
    expect((await idsOn(lab, 'db2')).length).toBe(ackedAtMs.length);
    expect(findByArgument(`${RELAY_ARGUMENT}${lab.dir}/`)).toEqual([]);
  });

  it('pauses a server without closing its connections', async () => {
    const lab = await freshLab({ replicas: 1 });
    const connection = await createConnection({
      host: '127.0.0.1',
      port: lab.server('db2').port,
      ...app,
    });
    onTestFinished(() => connection.destroy());
    await lab.pause('db2');
    expect((await lab.status())[1]?.state).toBe('paused');
    let answered = false;
    const answer = connection.query('SELECT 1').then(() => (answered = true));
    await insert(lab, 1);
    await lab.waitReplicated();
    expect(answered).toBe(false);
    await lab.resume('db2');
    await answer;
    await lab.waitReplicated();
    expect(await idsOn(lab, 'db2')).toEqual([1]);
  });

  it('stops and starts servers in order, each with its role', async () => {
    const lab = await freshLab({ replicas: 1 });
    await lab.stop('db2');
    await lab.stop('db1');
    expect((await lab.status()).map(({ state, pid }) => [state, pid])).toEqual([
      ['stopped', null],
      ['stopped', null],
    ]);
    await lab.start('db1');
    await lab.start('db2');
    await insert(lab, 1);
    await lab.waitReplicated();
    expect(await idsOn(lab, 'db2')).toEqual([1]);
  });

  it('leaves the temporary tables of other servers alone when one starts', async () => {
    const lab = await freshLab({ replicas: 1 });
    const { host, port } = lab.primary;
    const connection = await createConnection({ host, port, ...app, database: 'app' });
    onTestFinished(() => connection.destroy());
    // On the disk of its own folder for such, and not in memory or the engine's own space.
    const engine = flavor === 'mysql' ? 'MyISAM' : 'Aria';
    await connection.query(`CREATE TEMPORARY TABLE kept (n INT) ENGINE=${engine} SELECT 1 AS n`);
    await lab.stop('db2');
    await lab.start('db2');
    expect((await connection.query('SELECT n FROM kept'))[0]).toEqual([{ n: 1 }]);
    await connection.query('TRUNCATE kept');
    await connection.query('DROP TEMPORARY TABLE kept');
    expect((await connection.query('SHOW WARNINGS'))[0]).toEqual([]);
  });

  it('leaves no process, folder or open port behind', async () => {
    const lab = await freshLab();
    const { dir, servers } = lab;
    expect(serversBelow(dir)).toHaveLength(3);
    await lab.pause('db3');
    await lab.down();
    expect(serversBelow(dir)).toEqual([]);
    expect(existsSync(dir)).toBe(false);
    for (const { port } of servers) expect(await portAnswers(port)).toBe(false);
    await lab.down();
  });
});

describe('a lab whose port somebody else takes while it starts', () => {
  /** Takes the port of db1 as soon as the lab has said which one that is. */
  function thief(steps: string[]): (text: string) => void {
    return (text) => {
      steps.push(text);
      const port = /^Starting db1 on port (\d+)/.exec(text)?.[1];
      if (port === undefined) return;
      const server = createServer().listen(Number(port), '127.0.0.1');
      onTestFinished(() => void server.close());
    };
  }

  it('takes another one', async () => {
    const steps: string[] = [];
    const lab = await startLab({ replicas: 1, onStep: thief(steps) });
    onTestFinished(() => lab.down());
    expect(steps.join('\n')).toMatch(/Port (\d+) was taken meanwhile: db1 takes (?!\1)\d+/);
    await lab.waitReplicated();
    expect(await portAnswers(lab.primary.port)).toBe(true);
  });

  it('fails where the port was asked for', async () => {
    const [basePort] = await freePorts(1);
    const failing = startLab({ replicas: 0, onStep: thief([]), ...(basePort && { basePort }) });
    await expect(failing).rejects.toThrow(/db1 did not start[\s\S]*in use/i);
  });
});

describe('a lab whose start fails', () => {
  it('says what the server says, and leaves nothing behind', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'lagwise-lab-test-'));
    onTestFinished(() => rm(parent, { recursive: true, force: true }));
    const dir = join(parent, 'lab');
    const failing = startLab({ dir, serverOptions: ['--no-such-option'] });
    await expect(failing).rejects.toThrow(/db\d did not start[\s\S]*no-such-option/);
    expect(await readdir(parent)).toEqual([]);
    expect(serversBelow(dir)).toEqual([]);
  });

  it('does not touch a folder that is not its own', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'lagwise-lab-test-'));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    await mkdtemp(join(dir, 'precious-'));
    await expect(startLab({ dir })).rejects.toThrow('is not empty');
    expect(await readdir(dir)).toHaveLength(1);
  });

  it('names everything that was tried when the named program is none', async () => {
    const failing = startLab({ serverPath: '/no/such/mysqld' });
    await expect(failing).rejects.toThrow(/No mysql server can be run here.*\/no\/such\/mysqld/);
  });
});

describe('lagwise lab', () => {
  let dir = '';
  beforeEach(async () => {
    dir = join(await mkdtemp(join(tmpdir(), 'lagwise-lab-test-')), 'lab');
  });
  afterEach(() => rm(join(dir, '..'), { recursive: true, force: true }));

  function start(...args: string[]) {
    const child = spawn(process.execPath, [CLI, ...args, '--dir', dir, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    return { child, ended, out: () => out, err: () => err };
  }

  async function lab(...args: string[]): Promise<unknown> {
    const run = start(...args);
    expect(await run.ended, run.err()).toBe(0);
    return JSON.parse(run.out());
  }

  const upArgs = ['up', '--base-port', '0', '--replicas', '1'];
  const gone = () =>
    serversBelow(dir).length === 0 &&
    findByArgument(`${RELAY_ARGUMENT}${dir}/`).length === 0 &&
    !existsSync(dir);

  it('starts a lab that outlives the command, works on it and ends it', async () => {
    await lab(...upArgs);
    expect(serversBelow(dir)).toHaveLength(2);
    await lab('kill', 'db1');
    await lab('promote', 'db2');
    await lab('start', 'db1');
    await lab('lag', 'db1', '1500');
    expect(findByArgument(`${RELAY_ARGUMENT}${dir}/`)).toHaveLength(1);
    const status = (await lab('status')) as LabServerStatus[];
    expect(status.map(({ role, state }) => [role, state])).toEqual([
      ['replica', 'running'],
      ['primary', 'running'],
    ]);
    await lab('down');
    expect(gone()).toBe(true);
  });

  it('leaves nothing behind when the command is killed', async () => {
    const run = start(...upArgs, '--foreground');
    await until('the lab is up', () => run.out().includes('}\n'));
    expect(serversBelow(dir)).toHaveLength(2);
    run.child.kill('SIGKILL');
    await until('everything is gone', gone);
  });

  it('leaves nothing behind after Ctrl-C while it starts', async () => {
    const run = start(...upArgs);
    await until('a server runs', () => serversBelow(dir).length > 0);
    run.child.kill('SIGINT');
    await run.ended;
    await until('everything is gone', gone);
  });

  it('ends with Ctrl-C in the foreground, in order', async () => {
    const run = start(...upArgs, '--foreground');
    await until('the lab is up', () => run.out().includes('}\n'));
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    expect(gone()).toBe(true);
  });
});
