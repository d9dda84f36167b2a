import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { execute, type ExecuteOptions } from '../support/programs.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Nothing listens there: no service has this port (fetch itself refuses some others). */
const NOBODY = 'http://127.0.0.1:2';

const lagwise = (args: readonly string[], options: ExecuteOptions = {}) =>
  execute({ file: process.execPath, args: [MAIN], env: {} }, args, options);

const jsonLines = (text: string): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

describe('lagwise classify', () => {
  it('answers each line of standard input with one of standard output', async () => {
    const input = [
      '"SELECT 1"',
      '"SHOW GLOBAL STATUS"',
      '{"sql": "SELECT 1", "autocommit": false}',
      '{"sql": "SELECT NEXTVAL(s)", "flavor": "mariadb"}',
    ].join('\n');
    const { code, stdout, stderr } = await lagwise(['classify'], { input });
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual([
      { class: 'read', target: 'replica', reason: 'select', digest: expect.any(String) },
      { class: 'read', target: 'primary', reason: 'server-show', digest: expect.any(String) },
      { class: 'read', target: 'primary', reason: 'autocommit-off', digest: expect.any(String) },
      { class: 'write', target: 'primary', reason: 'sequence', digest: expect.any(String) },
    ]);
  });

  it('goes on behind a line that is no statement, and fails in the end', async () => {
    const { code, stdout, stderr } = await lagwise(['classify'], { input: 'nonsense\n"DO 1"\n' });
    expect(code).toBe(1);
    expect(jsonLines(stdout)).toEqual([
      { error: 'the line is no JSON', line: 1 },
      expect.objectContaining({ class: 'read' }),
    ]);
    expect(stderr).toBe('1 of 2 lines are no statements\n');
  });

  it('takes the kind and version of the server from its options', async () => {
    const input = '"SELECT 1 /*M!100500 FOR UPDATE */"';
    const plain = await lagwise(['classify'], { input });
    expect(plain.stdout).toContain('"read"');
    const maria = await lagwise(['classify', '--flavor=mariadb'], { input });
    expect(maria.stdout).toContain('"write"');
    const old = ['classify', '--flavor=mariadb', '--server-version=10.4.1'];
    expect((await lagwise(old, { input })).stdout).toContain('"read"');
    const wrong = await lagwise(['classify', '--server-version=new'], { input });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('Expected a version such as 9.7.4');
  });

  it('judges very many lines in little memory', async () => {
    const lines = 200_000;
    const input = Buffer.from('{"sql":"SELECT c FROM sbtest1 WHERE id = 12345"}\n'.repeat(lines));
    const { code, stdout, stderr } = await lagwise(['classify'], {
      input,
      // All of them as objects would not fit.
      env: { NODE_OPTIONS: '--max-old-space-size=32' },
    });
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout.length).toBe(lines * (stdout.indexOf('\n') + 1));
  });

  it('ends without a word when nobody reads on', async () => {
    const input = '"SELECT 1"\n'.repeat(200_000);
    const { code, stderr } = await lagwise(['classify'], {
      input,
      onStart: (child) => child.stdout?.once('data', () => child.stdout?.destroy()),
    });
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});

describe('lagwise explain', () => {
  let folder: string;
  let config: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lagwise-test-'));
    config = join(folder, 'config.json');
    const rules = [
      { name: 'audit', match: { tablePrefix: 'audit_', user: 'report' }, target: 'primary' },
    ];
    await writeFile(
      config,
      JSON.stringify({
        servers: [{ host: 'db1' }],
        monitor: { user: 'm', password: 'x' },
        admin: { enabled: false },
        rules,
      }),
    );
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('says where a statement goes and why, without a proxy', async () => {
    const { code, stdout, stderr } = await lagwise([
      'explain',
      'SELECT * FROM t WHERE id = 5 FOR UPDATE',
      `--admin=${NOBODY}`,
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^statement +SELECT \* FROM t WHERE id = \? FOR UPDATE$/m);
    expect(stdout).toMatch(/^class +write \(for-update\)$/m);
    expect(stdout).toMatch(/^goes to +the primary$/m);
    expect(stdout).toContain(`${NOBODY} cannot be reached`);
  });

  it('takes rules and session into account', async () => {
    const ask = async (...args: string[]) => {
      const all = ['explain', ...args, '--json', `--config=${config}`, `--admin=${NOBODY}`];
      const { code, stdout, stderr } = await lagwise(all);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      return JSON.parse(stdout) as object;
    };
    const sql = 'SELECT * FROM audit_log';
    expect(await ask(sql)).toMatchObject({ target: 'replica', rules: [] });
    expect(await ask(sql, '--user=report')).toMatchObject({
      target: 'primary',
      reason: 'rule',
      rules: ['audit'],
      admin: { address: NOBODY, failed: expect.any(String) },
    });
    expect(await ask(sql, '--no-autocommit')).toMatchObject({ reason: 'autocommit-off' });
    expect(await ask(sql, '--read-only-transaction')).toMatchObject({ target: 'same' });
  });

  it('refuses an address and a config file that are none', async () => {
    const address = await lagwise(['explain', 'DO 1', '--admin=nowhere']);
    expect(address.code).toBe(1);
    expect(address.stderr).toMatch(/^Admin address "nowhere" is none, expected one like http:/);
    const file = await lagwise(['explain', 'DO 1', '--config=/none.json']);
    expect(file.code).toBe(1);
    expect(file.stderr).toContain('Cannot read config file "/none.json"');
  });
});
