import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classifyLines } from '../../../src/cli/classify-lines.ts';

const MYSQL = { flavor: 'mysql', version: '9.7.4' } as const;

async function* chunksOf(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function classify(input: string | Buffer, size = 65_536) {
  let output = '';
  const summary = await classifyLines(
    chunksOf(Buffer.from(input), size),
    async (text) => {
      output += text;
    },
    MYSQL,
  );
  const lines = output.split('\n').filter((line) => line !== '');
  return { ...summary, output, answers: lines.map((line): unknown => JSON.parse(line)) };
}

const one = async (statement: unknown) => (await classify(JSON.stringify(statement))).answers[0];

describe('a line of classify', () => {
  it.each<[unknown, string, string, string]>([
    ['SELECT 1', 'read', 'replica', 'select'],
    [{ sql: 'SELECT 1' }, 'read', 'replica', 'select'],
    ['INSERT INTO t VALUES (1)', 'write', 'primary', 'dml'],
    ['SELECT * FROM t FOR UPDATE', 'write', 'primary', 'for-update'],
    ['SELECT whatever(1)', 'unknown', 'primary', 'unknown-function'],
    ['', 'unknown', 'primary', 'empty'],
    ['BEGIN', 'transaction', 'primary', 'begin'],
    ['START TRANSACTION READ ONLY', 'transaction', 'replica', 'begin'],
    ['COMMIT', 'transaction', 'primary', 'commit'],
    ['SET NAMES utf8mb4', 'session', 'any', 'set'],
    ['USE app', 'session', 'any', 'use'],
    ['KILL 5', 'local', 'local', 'kill'],
    ['SHOW WARNINGS', 'same-server', 'same', 'diagnostics'],
    [{ sql: 'SELECT 1', autocommit: false }, 'read', 'primary', 'autocommit-off'],
    [{ sql: 'SELECT 1', inTransaction: true }, 'read', 'primary', 'transaction'],
    [{ sql: 'COMMIT', inTransaction: true }, 'transaction', 'primary', 'transaction'],
    [{ sql: 'KILL 5', inTransaction: true }, 'local', 'local', 'kill'],
    [{ sql: 'SHOW WARNINGS', inTransaction: true }, 'same-server', 'same', 'diagnostics'],
    [
      { sql: 'SELECT 1', inTransaction: true, readOnlyTransaction: true },
      'read',
      'same',
      'read-only-transaction',
    ],
    [{ sql: 'DELETE FROM t', readOnlyTransaction: true }, 'write', 'same', 'read-only-transaction'],
    [{ sql: 'SELECT 1', serializable: true }, 'read', 'primary', 'serializable'],
    [{ sql: 'SELECT 1', id: 7, note: ['kept by whoever asks'] }, 'read', 'replica', 'select'],
    [
      { sql: 'SELECT 1', autocommit: null, inTransaction: null, flavor: null, version: null },
      'read',
      'replica',
      'select',
    ],
    [{ sql: 'SELECT NVL(a, 1) FROM t', flavor: 'MariaDB' }, 'read', 'replica', 'select'],
    [{ sql: 'SELECT 1 /*!80036 FOR UPDATE */', version: '8.0' }, 'write', 'primary', 'for-update'],
    [{ sql: 'SELECT 1 /*!80036 FOR UPDATE */', version: '8.0.35' }, 'read', 'replica', 'select'],
    ['/* lagwise: target=primary */ SELECT 1', 'read', 'primary', 'hint'],
    ['/* lagwise: consistency=strong */ SELECT 1', 'read', 'primary', 'strong'],
    ['/* lagwise: target=replica */ DELETE FROM t', 'write', 'primary', 'not-a-read'],
    ["SET @lagwise_target = 'primary'", 'local', 'local', 'lagwise-setting'],
  ])('%j is %s and goes to %s for %s', async (statement, ...[cls, target, reason]) => {
    expect(await one(statement)).toEqual({
      class: cls,
      target,
      reason,
      digest: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
  });

  it('is read as the server and the session would', async () => {
    const quoted = { sql: 'SELECT "a\' FOR UPDATE" FROM t' };
    expect(await one(quoted)).toMatchObject({ reason: 'select' });
    const slash = { sql: String.raw`SELECT '\' FOR UPDATE -- '` };
    expect(await one(slash)).toMatchObject({ reason: 'select' });
    expect(await one({ ...slash, sqlMode: 'NO_BACKSLASH_ESCAPES' })).toMatchObject({
      reason: 'for-update',
    });
    const versioned = { sql: 'SELECT 1 /*!90000 FOR UPDATE */' };
    expect(await one(versioned)).toMatchObject({ class: 'write' });
    expect(await one({ ...versioned, version: '8.0.36' })).toMatchObject({ class: 'read' });
    const maria = { sql: 'SELECT 1 /*M! FOR UPDATE */' };
    expect(await one(maria)).toMatchObject({ class: 'read' });
    expect(await one({ ...maria, flavor: 'mariadb' })).toMatchObject({ class: 'write' });
    expect(await one({ ...maria, version: '10.11.19-MariaDB' })).toMatchObject({ class: 'write' });
  });

  it('with a charset of its own is bytes', async () => {
    // 0x95 0x5C is one character in sjis, in latin1 a letter and a backslash.
    const sql = "SELECT '\u0095\\' FOR UPDATE -- '";
    expect(await one({ sql, charset: 'sjis' })).toMatchObject({ reason: 'for-update' });
    expect(await one({ sql, charset: 'latin1' })).toMatchObject({ reason: 'select' });
  });

  it.each<[string, RegExp]>([
    ['SELECT 1', /^the line is no JSON$/],
    ['{"sql":"SELECT 1"', /no JSON/],
    ['5', /found a number, expected a string or an object/],
    ['null', /found null/],
    ['["SELECT 1"]', /found a list/],
    ['{"query":"SELECT 1"}', /"sql" is missing/],
    ['{"sql":5}', /"sql" is a number, expected a string/],
    ['{"sql":"","autocommit":0}', /"autocommit" is a number, expected true or false/],
    ['{"sql":"","flavor":"postgres"}', /"flavor" is none of mysql, mariadb/],
    ['{"sql":"","version":"new"}', /"version" is no version/],
  ])('that is %s is an error with its number', async (line, error) => {
    const { answers, ...summary } = await classify(`"SELECT 1"\n\n${line}\n"SELECT 2"`);
    expect(answers).toHaveLength(3);
    expect(answers[1]).toEqual({ error: expect.stringMatching(error), line: 3 });
    expect(summary).toMatchObject({ lines: 3, errors: 1 });
  });

  it('that is no JSON is not quoted in its error', async () => {
    expect((await classify('SELECT "secret"')).output).not.toContain('secret');
  });
});

describe('the lines of classify', () => {
  it('may be cut anywhere', async () => {
    const text = '"SELECT 1"\r\n{"sql":"SELECT \'ü🐬\' FOR UPDATE"}\n\n"DO 1"';
    const whole = await classify(text);
    expect(whole.answers).toHaveLength(3);
    for (let size = 1; size < 20; size += 1) {
      expect((await classify(text, size)).output).toBe(whole.output);
    }
  });

  it('may begin with a byte order mark', async () => {
    expect((await classify('\ufeff"SELECT 1"\n"DO 1"')).answers).toMatchObject([
      { reason: 'select' },
      { reason: 'do' },
    ]);
  });

  it('give an answer each, in their order', async () => {
    const statement = fc.constantFrom('SELECT 1', 'DELETE FROM t', 'BEGIN', 'x'.repeat(3000));
    await fc.assert(
      fc.asyncProperty(fc.array(statement), fc.integer({ min: 1, max: 500 }), async (all, size) => {
        const { answers } = await classify(
          all.map((sql) => `${JSON.stringify(sql)}\n`).join(''),
          size,
        );
        const alone = await Promise.all(all.map(one));
        expect(answers).toEqual(alone);
      }),
      { numRuns: 30 },
    );
  });

  it('may be as long as the longest statement', async () => {
    const [long, next] = (await classify(`"SELECT '${'ü'.repeat(5_000_000)}'"\n"DO 1"`)).answers;
    expect([long, next]).toMatchObject([
      { class: 'unknown', reason: 'too-long' },
      { reason: 'do' },
    ]);
  });

  it('that are too long are an error, and the next ones are read', async () => {
    async function* input() {
      yield Buffer.from('"SELECT 1"\n"');
      const piece = Buffer.alloc(1 << 20, 'x');
      for (let index = 0; index < 129; index += 1) yield piece;
      yield Buffer.from('"\n"SELECT 2"\n');
    }
    let output = '';
    const write = async (text: string) => {
      output += text;
    };
    const summary = await classifyLines(input(), write, MYSQL);
    expect(summary).toEqual({ lines: 3, errors: 1 });
    expect(output.split('\n')[1]).toBe(
      '{"error":"the line is longer than 134217728 bytes","line":2}',
    );
  });

  it('wait for whoever reads the answers', async () => {
    let read = 0;
    async function* input() {
      for (; read < 1000; read += 1) yield Buffer.from('"SELECT 1"\n');
    }
    const gate = Promise.withResolvers<void>();
    const done = classifyLines(input(), () => gate.promise, MYSQL);
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
    expect(read).toBe(0);
    gate.resolve();
    expect(await done).toEqual({ lines: 1000, errors: 0 });
  });
});
