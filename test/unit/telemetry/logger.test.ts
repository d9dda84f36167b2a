import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LagwiseError } from '../../../src/lib/errors.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { createLogger, type LogLevel } from '../../../src/telemetry/logger.ts';

function captured(level: LogLevel = 'debug') {
  const lines: string[] = [];
  const sink = createLogger(level, { write: (line) => lines.push(line) });
  return { ...sink, lines, parsed: () => lines.map((line) => JSON.parse(line)) };
}

describe('a log line', () => {
  test('is one JSON object with level, time, message and fields', () => {
    const { logger, lines, parsed } = captured();
    logger.child({ connId: 7 }).warn({ server: 'db1' }, 'Server lost');
    expect(lines[0]?.match(/\n/g)).toHaveLength(1);
    expect(parsed()[0]).toMatchObject({
      level: 'warn',
      connId: 7,
      server: 'db1',
      msg: 'Server lost',
    });
    expect(Date.parse(parsed()[0].time)).not.toBeNaN();
  });

  test('holds no secret and no SQL, however deep they are hidden', () => {
    const { logger, lines } = captured();
    const driverError = Object.assign(new Error('denied'), { sql: 'SELECT hunter2', errno: 1045 });
    logger.error(
      {
        password: 'hunter2',
        dbPassword: 'hunter2',
        sql: 'SELECT hunter2',
        statement: 'SELECT hunter2',
        wrapped: new Secret('hunter2'),
        auth: { deep: { apiToken: 'hunter2', bytes: Buffer.from('hunter2') } },
        list: [{ passwd: 'hunter2' }],
        err: new LagwiseError('backend-auth', 'Refused', { cause: driverError }),
        a: { b: { c: { d: { e: { password: 'hunter2' } } } } },
      },
      'Failed',
    );
    logger.child({ secret: 'hunter2' }).info({}, 'Child');
    const text = lines.join('');
    expect(text).not.toContain('hunter2');
    expect(text).not.toContain(Buffer.from('hunter2').toString('base64'));
  });

  test('tells of bytes only how many they are', () => {
    const { logger, parsed } = captured();
    logger.info({ packet: Buffer.from('SELECT 1') }, 'Odd');
    expect(parsed()[0].packet).toBe('[8 bytes]');
  });

  test('tells of an error its source, code, stack and causes', () => {
    const { logger, parsed } = captured();
    const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    logger.error({ err: new LagwiseError('backend-connect', 'No way', { cause }) }, 'Failed');
    expect(parsed()[0].err).toMatchObject({
      type: 'LagwiseError',
      source: 'backend-connect',
      message: 'No way',
      cause: { code: 'ECONNREFUSED', message: 'refused' },
    });
    expect(parsed()[0].err.stack).toContain('logger.test.ts');
  });

  test('is bounded, and survives cycles and odd values', () => {
    const { logger, lines, parsed } = captured();
    const cycle: Record<string, unknown> = { big: 5n, text: 'x'.repeat(1_000_000) };
    cycle['self'] = cycle;
    logger.info({ cycle, many: Array.from({ length: 10_000 }, () => 1) }, 'Odd');
    expect(lines[0]?.length).toBeLessThan(40_000);
    expect(parsed()[0].cycle.big).toBe('5');
  });
});

describe('the level', () => {
  test('leaves out what is less severe', () => {
    const { logger, parsed } = captured('warn');
    logger.debug({}, 'a');
    logger.info({}, 'b');
    logger.warn({}, 'c');
    logger.error({}, 'd');
    expect(parsed().map((line) => line.msg)).toEqual(['c', 'd']);
  });

  test('can be changed while running, for loggers made before too', () => {
    const { logger, setLevel, parsed } = captured('info');
    const child = logger.child({ connId: 1 }).child({ server: 'db1' });
    child.debug({}, 'a');
    setLevel('debug');
    child.debug({}, 'b');
    setLevel('silent');
    child.error({}, 'c');
    logger.error({}, 'd');
    expect(parsed().map((line) => line.msg)).toEqual(['b']);
  });
});

test('lines to a file descriptor are there after a flush', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lagwise-log-'));
  try {
    const path = join(folder, 'log');
    const sink = createLogger('info', openSync(path, 'w'));
    sink.logger.info({}, 'Written');
    await sink.flush();
    expect(readFileSync(path, 'utf8')).toContain('"msg":"Written"');
    expect(sink.droppedLines()).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
